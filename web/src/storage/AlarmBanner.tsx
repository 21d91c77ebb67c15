/** What is critical, said on every page until it is over, or somebody puts away what is known. */
import { Button } from "@mantine/core";
import { IconAlertTriangle } from "@tabler/icons-react";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";

import type { Alarm } from "../api/evidenceTypes";
import { useCameras } from "../api/queries";
import { alarmText } from "./alarmText";
import { anyNew, criticalOf, keyOf, knownSlug, linkOf } from "./alarms";
import classes from "./storage.module.css";

const NONE: ReadonlySet<string> = new Set();

export function AlarmBanner({ alarms }: { alarms: readonly Alarm[] }) {
  const { t } = useTranslation("storage");
  const { t: inLive } = useTranslation("live");
  const { cameras } = useCameras();
  const [putAway, setPutAway] = useState(NONE);
  const critical = criticalOf(alarms);
  const [first] = critical;
  // One that is over and comes back is another.
  const present = critical.map(keyOf).join("\n");
  useEffect(() => {
    setPutAway((before) => new Set(present.split("\n").filter((key) => before.has(key))));
  }, [present]);
  const shown = first !== undefined && anyNew(critical, putAway);
  if (!shown) return null;
  const slug = knownSlug(first.slug);
  return (
    <div role="alert" className={classes.banner} data-testid="alarm-banner">
      <IconAlertTriangle size={18} aria-hidden />
      <span>
        {slug ? t(`alarm.${slug}`) : first.slug}
        <span className={classes.detail}>: {alarmText(first, cameras, inLive)}</span>
      </span>
      {critical.length > 1 && <span>{t("banner.more", { count: critical.length - 1 })}</span>}
      <Link to={linkOf(first)}>{t("banner.show")}</Link>
      <Button size="compact-xs" variant="white" color="red.9" onClick={() => setPutAway(new Set(critical.map(keyOf)))}>
        {t("banner.putAway")}
      </Button>
    </div>
  );
}
