/** Gives the component library's calendars the app's language. */
import { DatesProvider } from "@mantine/dates";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { LANGUAGES, nearestLanguage } from "../i18n/languages";

export function LocaleProvider({ children }: { children: ReactNode }) {
  const { i18n } = useTranslation();
  // Weekend days stay plain: red is for alarms.
  const locale = LANGUAGES[nearestLanguage(i18n.language)].dayjs;
  return <DatesProvider settings={{ locale, firstDayOfWeek: 0, weekendDays: [] }}>{children}</DatesProvider>;
}
