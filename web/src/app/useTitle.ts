import { useEffect } from "react";

const PRODUCT = "VMS Enterprise";

/** The browser tab's title while the page is open. */
export function useTitle(page: string): void {
  useEffect(() => {
    document.title = `${page} · ${PRODUCT}`;
  }, [page]);
}
