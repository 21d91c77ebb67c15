/** Who works at this browser, as they wrote it last: offered the next time. */
const KEY = "vms.person";

export function rememberedPerson(): string {
  try {
    return localStorage.getItem(KEY) ?? "";
  } catch {
    return "";
  }
}

export function rememberPerson(name: string): void {
  try {
    localStorage.setItem(KEY, name.trim());
  } catch {
    // A browser that stores nothing is asked again.
  }
}
