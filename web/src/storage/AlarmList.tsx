/** Alarms in words: what is wrong, since when, and the way there. */
import { Anchor, Text } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";

import type { Alarm } from "../api/evidenceTypes";
import { useCameras } from "../api/queries";
import { useFormat } from "../i18n/format";
import { alarmText } from "./alarmText";
import { keyOf, knownSlug, linkOf } from "./alarms";
import classes from "./storage.module.css";

export function AlarmList({ alarms, onFollow }: { alarms: readonly Alarm[]; onFollow?: () => void }) {
  const { t } = useTranslation("storage");
  const { t: inLive } = useTranslation("live");
  const { cameras } = useCameras();
  const format = useFormat();
  return (
    <ul className={classes.list}>
      {alarms.map((alarm) => {
        const slug = knownSlug(alarm.slug);
        return (
          <li key={keyOf(alarm)} className={classes.alarm} data-severity={alarm.severity} data-slug={alarm.slug}>
            <Text size="sm" fw={600}>
              {t(`severity.${alarm.severity}`)}: {slug ? t(`alarm.${slug}`) : alarm.slug}
            </Text>
            <Text size="sm" title={alarm.text}>
              {alarmText(alarm, cameras, inLive)}
            </Text>
            <Text size="xs" c="dimmed">
              {t("since", { time: format.dateTime(Date.parse(alarm.since)) })} ·{" "}
              <Anchor component={Link} to={linkOf(alarm)} {...(onFollow ? { onClick: onFollow } : {})}>
                {t(alarm.camera_id === null ? "toVolumes" : "toCamera")}
              </Anchor>
            </Text>
          </li>
        );
      })}
    </ul>
  );
}
