/** Go to a time that is typed. */
import { Button, Popover, Stack } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconClockSearch } from "@tabler/icons-react";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";

import { useShortcuts } from "../app/shortcuts";
import { Control } from "./Control";
import { InstantInput } from "./InstantInput";

interface Props {
  atMs: number;
  nowMs: number;
  onGo: (ms: number) => void;
}

export function GoToTime({ atMs, nowMs, onGo }: Props) {
  const { t } = useTranslation("playback");
  const [opened, popover] = useDisclosure(false);
  const [typedMs, setTypedMs] = useState(atMs);
  const open = () => {
    setTypedMs(Math.floor(atMs / 1000) * 1000);
    popover.open();
  };
  useShortcuts({ t: open });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    popover.close();
    onGo(Math.min(typedMs, nowMs));
  };
  return (
    <Popover opened={opened} onChange={(open) => !open && popover.close()} trapFocus withinPortal shadow="md" position="top">
      <Popover.Target>
        <div>
          <Control label={t("goTo.open")} shortcut="T" testId="go-to" onClick={opened ? popover.close : open}>
            <IconClockSearch size={20} />
          </Control>
        </div>
      </Popover.Target>
      <Popover.Dropdown>
        <form onSubmit={submit}>
          <Stack gap="xs">
            <InstantInput label={t("goTo.time")} value={typedMs} maxMs={nowMs} onChange={setTypedMs} focusTime />
            <Button type="submit" size="xs" data-testid="go-to-submit">
              {t("goTo.go")}
            </Button>
          </Stack>
        </form>
      </Popover.Dropdown>
    </Popover>
  );
}
