/** A calendar to go to a day; days with recordings carry a dot. */
import { Button, Popover } from "@mantine/core";
import { DatePicker } from "@mantine/dates";
import { useDisclosure } from "@mantine/hooks";
import { IconCalendar } from "@tabler/icons-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { useCoverage } from "../api/coverage";
import { useRecordings } from "../api/queries";
import { useFormat } from "../i18n/format";
import { fromLocalTime, toLocalTime } from "../i18n/localTime";
import { dayStart } from "../i18n/zone";
import { useZone } from "../i18n/zoneChoice";
import { recordedDates } from "./bars";
import classes from "./timeline.module.css";

/** Finer than this does not matter for which days have recordings. */
const RESOLUTION_S = 600;

interface Props {
  cameraIds: readonly string[];
  /** The day that is in view. */
  dayMs: number;
  nowMs: number;
  onDay: (dayStartMs: number) => void;
}

export function DayPicker({ cameraIds, dayMs, nowMs, onDay }: Props) {
  const { t } = useTranslation("playback");
  const format = useFormat();
  const [opened, popover] = useDisclosure(false);
  return (
    <Popover opened={opened} onChange={popover.toggle} trapFocus withinPortal position="top-start" shadow="md">
      <Popover.Target>
        <Button
          variant="default"
          size="compact-sm"
          leftSection={<IconCalendar size={16} />}
          onClick={popover.toggle}
          aria-label={t("calendar.open", { day: format.date(dayMs) })}
        >
          {format.date(dayMs)}
        </Button>
      </Popover.Target>
      <Popover.Dropdown>
        {opened && (
          <Calendar
            cameraIds={cameraIds}
            dayMs={dayMs}
            nowMs={nowMs}
            onDay={(ms) => {
              popover.close();
              onDay(ms);
            }}
          />
        )}
      </Popover.Dropdown>
    </Popover>
  );
}

/** The dates in `zone` on which any of the cameras recorded something. */
function useRecordedDates(cameraIds: readonly string[], zone: string, startMs: number, endMs: number): Set<string> {
  const { cameras, absent } = useCoverage(cameraIds, startMs, endMs, RESOLUTION_S);
  const [first = ""] = cameraIds;
  const recordings = useRecordings(first, startMs, endMs, false, absent && first !== "");
  const spans = absent ? recordings.spans : [...cameras.values()].flatMap((camera) => camera.spans);
  return recordedDates(zone, spans);
}

function Calendar({ cameraIds, dayMs, nowMs, onDay }: Props) {
  const { t } = useTranslation("playback");
  const zone = useZone();
  const [month, setMonth] = useState(toLocalTime(zone, dayMs).date.slice(0, 7));
  const [year = 1970, number = 1] = month.split("-").map(Number);
  const recorded = useRecordedDates(cameraIds, zone, dayStart(zone, year, number, 1), dayStart(zone, year, number + 1, 1));
  return (
    <DatePicker
      value={toLocalTime(zone, dayMs).date}
      maxDate={toLocalTime(zone, nowMs).date}
      onChange={(date) => {
        const ms = date === null ? null : fromLocalTime(zone, { date, time: "00:00:00" });
        if (ms !== null) onDay(ms);
      }}
      date={`${month}-01`}
      onDateChange={(date) => setMonth(date.slice(0, 7))}
      maxLevel="year"
      ariaLabels={{
        previousMonth: t("calendar.previous"),
        nextMonth: t("calendar.next"),
        monthLevelControl: t("calendar.months"),
        previousYear: t("calendar.previousYear"),
        nextYear: t("calendar.nextYear"),
      }}
      renderDay={(date) => (
        <span className={classes.day} data-recorded={recorded.has(date) || undefined}>
          {Number(date.slice(8))}
        </span>
      )}
    />
  );
}
