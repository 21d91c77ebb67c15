/** The languages side by side, for where there is no menu yet. */
import { SegmentedControl } from "@mantine/core";
import { useTranslation } from "react-i18next";

import { type Language, LANGUAGES } from "../i18n/languages";

export function LanguageSwitch() {
  const { t, i18n } = useTranslation();
  return (
    <SegmentedControl
      size="xs"
      aria-label={t("menu.language")}
      value={i18n.language}
      onChange={(language) => void i18n.changeLanguage(language)}
      data={(Object.keys(LANGUAGES) as Language[]).map((value) => ({ value, label: LANGUAGES[value].name }))}
    />
  );
}
