/** Puts a page's own controls into the application's header, which saves a row for pictures. */
import { Portal } from "@mantine/core";
import type { ReactNode } from "react";

export const HEADER_TOOLS_ID = "header-tools";

export function HeaderTools({ children }: { children: ReactNode }) {
  return <Portal target={`#${HEADER_TOOLS_ID}`}>{children}</Portal>;
}
