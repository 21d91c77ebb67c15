/** Language, theme, keyboard help, sign out. */
import { ActionIcon, Menu as Dropdown, useMantineColorScheme } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconCheck, IconKeyboard, IconLogout, IconMenu2, IconMoon, IconSun } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";

import { useLogout } from "../api/queries";
import type { Session } from "../api/types";
import { type Language, LANGUAGES } from "../i18n/languages";
import { ShortcutHelp } from "./ShortcutHelp";
import { useShortcuts } from "./shortcuts";

export function Menu({ session }: { session: Session }) {
  const { t, i18n } = useTranslation();
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const [helpOpen, help] = useDisclosure(false);
  const logout = useLogout();
  const dark = colorScheme !== "light";
  useShortcuts({ "?": help.open });
  return (
    <>
      <Dropdown position="bottom-end" width={240} withinPortal>
        <Dropdown.Target>
          <ActionIcon variant="subtle" color="gray" size="lg" aria-label={t("menu.label")}>
            <IconMenu2 size={20} />
          </ActionIcon>
        </Dropdown.Target>
        <Dropdown.Dropdown>
          <Dropdown.Label>{t("menu.language")}</Dropdown.Label>
          {(Object.keys(LANGUAGES) as Language[]).map((language) => (
            <Dropdown.Item
              key={language}
              lang={language}
              onClick={() => void i18n.changeLanguage(language)}
              rightSection={i18n.language === language && <IconCheck size={16} aria-label={t("menu.chosen")} />}
            >
              {LANGUAGES[language].name}
            </Dropdown.Item>
          ))}
          <Dropdown.Divider />
          <Dropdown.Item
            leftSection={dark ? <IconSun size={16} /> : <IconMoon size={16} />}
            onClick={() => setColorScheme(dark ? "light" : "dark")}
          >
            {t(dark ? "menu.light" : "menu.dark")}
          </Dropdown.Item>
          <Dropdown.Item leftSection={<IconKeyboard size={16} />} rightSection="?" onClick={help.open}>
            {t("menu.shortcuts")}
          </Dropdown.Item>
          {session.required && (
            <Dropdown.Item leftSection={<IconLogout size={16} />} onClick={() => logout.mutate()}>
              {t("menu.logout")}
            </Dropdown.Item>
          )}
        </Dropdown.Dropdown>
      </Dropdown>
      <ShortcutHelp opened={helpOpen} onClose={help.close} />
    </>
  );
}
