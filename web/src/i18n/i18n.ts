/** i18next set up: language from the last choice, else the browser; kept in local storage. */
import "dayjs/locale/pt-br";

import i18next from "i18next";
import LanguageDetector from "i18next-browser-languagedetector";
import { initReactI18next } from "react-i18next";

import { catalogs } from "./catalogs";
import { nearestLanguage } from "./languages";

const detector = new LanguageDetector(undefined, {
  order: ["localStorage", "navigator"],
  lookupLocalStorage: "vms.language",
  caches: ["localStorage"],
  convertDetectedLanguage: nearestLanguage,
});

export const i18n = i18next.createInstance();

void i18n
  .use(detector)
  .use(initReactI18next)
  .init({
    resources: catalogs,
    fallbackLng: "en",
    supportedLngs: Object.keys(catalogs),
    ns: Object.keys(catalogs.en),
    defaultNS: "app",
    interpolation: { escapeValue: false }, // React escapes
  });

function tellTheDocument(language: string): void {
  document.documentElement.lang = language;
}
tellTheDocument(i18n.language);
i18n.on("languageChanged", tellTheDocument);
