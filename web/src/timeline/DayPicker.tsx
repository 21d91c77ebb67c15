/** A calendar to go to a day; days with recordings carry a dot. */
import { Button, Popover } from "@mantine/core";
import { DatePicker } from "@mantine/dates";
import { useDisclosure } from "@mantine/hooks";
import { IconCalendar } from "@tabler/icons-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { useRecordings } from "../api/queries";
import { useFormat } from "../i18n/format";
import { fromLocalTime, toLocalTime } from "../i18n/localTime";
import { recordedDates } from "./bars";
import classes from "./timeline.module.css";

interface Props {
  cameraId: string;
  /** The day that is in view. */
  dayMs: number;
  nowMs: number;
  onDay: (dayStartMs: number) => void;
}

const midnight = (date: string) => fromLocalTime({ date, time: "00:00:00" }) ?? 0;

export function DayPicker({ cameraId, dayMs, nowMs, onDay }: Props) {
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
            cameraId={cameraId}
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

function Calendar({ cameraId, dayMs, nowMs, onDay }: Props) {
  const { t } = useTranslation("playback");
  const [month, setMonth] = useState(toLocalTime(dayMs).date.slice(0, 7));
  const start = new Date(midnight(`${month}-01`));
  const end = new Date(start.getFullYear(), start.getMonth() + 1, 1);
  const recordings = useRecordings(cameraId, start.getTime(), end.getTime(), false);
  const recorded = recordedDates(recordings.spans);
  return (
    <DatePicker
      value={toLocalTime(dayMs).date}
      maxDate={toLocalTime(nowMs).date}
      onChange={(date) => {
        if (date !== null) onDay(midnight(date));
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
