/** The languages of the app. A new one: a catalog folder beside `en`, and a line here. */
export const LANGUAGES = {
  en: { name: "English", dayjs: "en" },
  "pt-BR": { name: "Português (Brasil)", dayjs: "pt-br" },
} as const;

export type Language = keyof typeof LANGUAGES;

/** The nearest language that the app speaks: `pt`, `pt-PT` → `pt-BR`; what it does not know → English. */
export function nearestLanguage(tag: string): Language {
  return tag.toLowerCase().startsWith("pt") ? "pt-BR" : "en";
}
