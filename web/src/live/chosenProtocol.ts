/**
 * A way to watch that the user has chosen in the page's address: `?protocol=webtransport`. Experimental ways are taken
 * by nobody else, and whoever has chosen one gets no other.
 */
export type ChosenProtocol = "webtransport";

export function protocolIn(search: string): ChosenProtocol | null {
  return new URLSearchParams(search).get("protocol") === "webtransport" ? "webtransport" : null;
}

/** Of the address that this page was loaded with: it holds while one goes from view to view. */
const chosen = typeof location === "undefined" ? null : protocolIn(location.search);

export function chosenProtocol(): ChosenProtocol | null {
  return chosen;
}
