import "i18next";

import type { catalogs } from "./catalogs";

declare module "i18next" {
  interface CustomTypeOptions {
    defaultNS: "app";
    resources: (typeof catalogs)["en"];
  }
}
