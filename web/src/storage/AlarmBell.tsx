/** How many alarms there are, on every page; pressed, which. */
import { ActionIcon, Popover, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconBell, IconBellRinging } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";

import type { Alarm } from "../api/evidenceTypes";
import { AlarmList } from "./AlarmList";
import { criticalOf } from "./alarms";
import classes from "./storage.module.css";

export function AlarmBell({ alarms }: { alarms: readonly Alarm[] }) {
  const { t } = useTranslation("storage");
  const [opened, { toggle, close }] = useDisclosure(false);
  const count = alarms.length;
  const critical = criticalOf(alarms).length;
  const label = count === 0 ? t("bell.none") : t("bell.some", { count, critical });
  return (
    <Popover opened={opened} onChange={(open) => !open && close()} width={400} position="bottom-end" withArrow shadow="md" trapFocus returnFocus>
      <Popover.Target>
        <ActionIcon
          className={classes.bell ?? ""}
          variant="subtle"
          color={count === 0 ? "gray" : critical > 0 ? "red" : "yellow"}
          size="lg"
          style={{ overflow: "visible" }}
          aria-label={label}
          title={label}
          data-testid="alarm-bell"
          data-count={count}
          onClick={toggle}
        >
          {count === 0 ? <IconBell size={20} /> : <IconBellRinging size={20} />}
          {count > 0 && (
            <span className={classes.count} data-severity={critical > 0 ? "critical" : "warning"} aria-hidden>
              {count}
            </span>
          )}
        </ActionIcon>
      </Popover.Target>
      <Popover.Dropdown aria-label={t("bell.title")}>
        {count === 0 ? <Text size="sm">{t("bell.none")}</Text> : <AlarmList alarms={alarms} onFollow={close} />}
      </Popover.Dropdown>
    </Popover>
  );
}
