/** Day, zoom and legend above the timeline. */
import { ActionIcon, Group, SegmentedControl, Tooltip } from "@mantine/core";
import { IconChevronLeft, IconChevronRight, IconZoomIn, IconZoomOut } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";

import { useFormat } from "../i18n/format";
import { useZone } from "../i18n/zoneChoice";
import { ZoneSwitch } from "../i18n/ZoneSwitch";
import { DayPicker } from "./DayPicker";
import classes from "./timeline.module.css";
import type { ChangeView } from "./useTimelineView";
import { around, dayOf, spanOf, type View, zoom } from "./view";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const PRESETS_MS = [HOUR_MS / 6, HOUR_MS, 6 * HOUR_MS, 24 * HOUR_MS, 168 * HOUR_MS, 31 * DAY_MS, 366 * DAY_MS] as const;

interface Props {
  cameraIds: readonly string[];
  model: { view: View; changeView: ChangeView; playheadMs: number; nowMs: number };
}

export function TimelineToolbar({ cameraIds, model }: Props) {
  const { t } = useTranslation("playback");
  const format = useFormat();
  const zone = useZone();
  const { view, changeView, playheadMs, nowMs } = model;
  const middleMs = Math.min(nowMs, (view.startMs + view.endMs) / 2);
  const day = dayOf(zone, middleMs);
  // What the user looks at stays: the playhead when it is in view, else the middle.
  const anchorMs = playheadMs >= view.startMs && playheadMs <= view.endMs ? playheadMs : middleMs;
  const preset = PRESETS_MS.find((ms) => Math.abs(ms - spanOf(view)) < ms * 0.01);
  const show = (ms: number) => changeView(() => dayOf(zone, ms));
  return (
    <div className={classes.toolbar}>
      <Group gap={2} wrap="nowrap">
        <ActionIcon variant="subtle" color="gray" aria-label={t("calendar.dayBefore")} onClick={() => show(day.startMs - 1)}>
          <IconChevronLeft size={18} />
        </ActionIcon>
        <DayPicker cameraIds={cameraIds} dayMs={middleMs} nowMs={nowMs} onDay={show} />
        <ActionIcon
          variant="subtle"
          color="gray"
          aria-label={t("calendar.dayAfter")}
          disabled={day.endMs > nowMs}
          onClick={() => show(day.endMs)}
        >
          <IconChevronRight size={18} />
        </ActionIcon>
      </Group>
      <Group gap={4} wrap="nowrap" maw="100%">
        <SegmentedControl
          size="xs"
          className={classes.spans ?? ""}
          aria-label={t("zoom.span")}
          value={preset === undefined ? "" : String(preset)}
          onChange={(ms) => changeView(() => around(anchorMs, Number(ms)))}
          data={PRESETS_MS.map((ms) => ({ value: String(ms), label: format.shortDuration(ms) }))}
        />
        <Tooltip label={t("zoom.out")}>
          <ActionIcon
            variant="subtle"
            color="gray"
            aria-label={t("zoom.out")}
            onClick={() => changeView((current) => zoom(current, 2, anchorMs))}
          >
            <IconZoomOut size={18} />
          </ActionIcon>
        </Tooltip>
        <Tooltip label={t("zoom.in")}>
          <ActionIcon
            variant="subtle"
            color="gray"
            aria-label={t("zoom.in")}
            onClick={() => changeView((current) => zoom(current, 0.5, anchorMs))}
          >
            <IconZoomIn size={18} />
          </ActionIcon>
        </Tooltip>
      </Group>
      <ZoneSwitch atMs={middleMs} />
      <Group gap="md" className={classes.legends} aria-hidden>
        <span className={classes.legend}>
          <i className={classes.swatch} /> {t("timeline.recorded")}
        </span>
        <span className={classes.legend}>
          <i className={classes.swatch} data-gap /> {t("timeline.missing")}
        </span>
        <span className={classes.legend}>
          <i className={classes.swatch} data-event /> {t("timeline.event")}
        </span>
        <span className={classes.legend}>
          <i className={classes.swatch} data-locked /> {t("timeline.locked")}
        </span>
      </Group>
    </div>
  );
}
