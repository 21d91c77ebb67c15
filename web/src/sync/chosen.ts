/** The cameras that an address names. Pure. */

/** As many as a browser decodes at once with ease. */
export const MOST_CAMERAS = 16;

/** Those that there are, each once, in the order of the address. */
export function chosenIn(param: string | null, known: readonly string[]): string[] {
  const named = new Set((param ?? "").split(",").map((id) => id.trim()));
  return [...named].filter((id) => known.includes(id)).slice(0, MOST_CAMERAS);
}
