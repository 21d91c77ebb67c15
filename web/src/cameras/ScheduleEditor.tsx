/** When a camera is recorded, week by week: entries to write, and the week that they make. */
import { ActionIcon, Alert, Button, Chip, Group, SegmentedControl, Stack, Text } from "@mantine/core";
import { TimePicker } from "@mantine/dates";
import { IconPlus, IconTrash } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";

import type { ScheduleEntry } from "../api/types";
import { useFormat } from "../i18n/format";
import { ZoneSelect } from "../i18n/ZoneSelect";
import { useZones } from "../i18n/zoneChoice";
import {
  clockText,
  DAY_MINUTES,
  endsNextDay,
  NEW_ENTRY,
  nextClockChange,
  type ScheduledMode,
  type ScheduleForm,
  WEEKDAYS,
  weekOf,
} from "./schedule";
import classes from "./schedule.module.css";

const MODES = ["continuous", "events"] as const satisfies readonly ScheduledMode[];
const MOST_ENTRIES = 64;
const HOUR_MARKS = [0, 3, 6, 9, 12, 15, 18, 21, 24];

interface Props {
  value: ScheduleForm;
  error: React.ReactNode;
  onChange: (schedule: ScheduleForm) => void;
}

export function ScheduleEditor({ value, error, onChange }: Props) {
  const { t } = useTranslation("cameras");
  const { site, viewer } = useZones();
  const { entries, timeZone } = value;
  const change = (index: number, part: Partial<ScheduleEntry>) =>
    onChange({ ...value, entries: entries.map((entry, at) => (at === index ? { ...entry, ...part } : entry)) });
  const zone = timeZone === "" ? (site ?? viewer) : timeZone;
  return (
    <Stack gap="xs" data-testid="schedule">
      <Week entries={entries} />
      {entries.map((entry, index) => (
        <Entry
          key={index} // oxlint-disable-line react/no-array-index-key -- entries have no other name, and are edited in place
          entry={entry}
          number={index + 1}
          onChange={(part) => change(index, part)}
          onRemove={() => onChange({ ...value, entries: entries.filter((_, at) => at !== index) })}
        />
      ))}
      {error && (
        <Alert color="red" p="xs">
          {error}
        </Alert>
      )}
      <Button
        variant="default"
        size="compact-sm"
        leftSection={<IconPlus size={14} aria-hidden />}
        disabled={entries.length >= MOST_ENTRIES}
        onClick={() => onChange({ ...value, entries: [...entries, NEW_ENTRY] })}
        style={{ alignSelf: "flex-start" }}
      >
        {t("schedule.add")}
      </Button>
      <ZoneSelect
        label={t("schedule.zone")}
        emptyLabel={site === null ? t("schedule.site") : t("schedule.siteZone", { zone: site })}
        value={timeZone}
        onChange={(name) => onChange({ ...value, timeZone: name })}
      />
      <ClockNote zone={zone} />
    </Stack>
  );
}

/** What happens when clocks change, with the next time that they do. */
function ClockNote({ zone }: { zone: string }) {
  const { t } = useTranslation("cameras");
  const format = useFormat();
  const next = nextClockChange(zone, Date.now());
  return (
    <Text size="xs" c="dimmed">
      {t("schedule.clocks")}{" "}
      {next
        ? t(next.back ? "schedule.nextBack" : "schedule.nextForward", { date: format.date(next.atMs), from: next.from, to: next.to })
        : t("schedule.noChange", { zone })}
    </Text>
  );
}

interface EntryProps {
  entry: ScheduleEntry;
  number: number;
  onChange: (part: Partial<ScheduleEntry>) => void;
  onRemove: () => void;
}

function Entry({ entry, number, onChange, onRemove }: EntryProps) {
  const { t } = useTranslation("cameras");
  return (
    <fieldset className={classes.entry} aria-label={t("schedule.entry", { number })}>
      <Stack gap={8}>
        <Group gap="xs" wrap="nowrap" justify="space-between" align="flex-start">
          <Chip.Group multiple value={entry.days} onChange={(days) => onChange({ days: WEEKDAYS.filter((day) => days.includes(day)) })}>
            <Group gap={4}>
              {WEEKDAYS.map((day) => (
                <Chip key={day} value={day} size="xs">
                  {t(`schedule.day.${day}`)}
                </Chip>
              ))}
            </Group>
          </Chip.Group>
          <ActionIcon variant="subtle" color="red" aria-label={t("schedule.remove", { number })} onClick={onRemove}>
            <IconTrash size={16} />
          </ActionIcon>
        </Group>
        <Group gap="xs" align="flex-end">
          <ClockInput label={t("schedule.from")} value={entry.start} onChange={(start) => onChange({ start })} />
          <ClockInput
            label={t(endsNextDay(entry) ? "schedule.toNextDay" : "schedule.to")}
            value={entry.end}
            onChange={(end) => onChange({ end })}
          />
          <SegmentedControl
            size="xs"
            aria-label={t("form.record")}
            value={entry.record}
            onChange={(record: ScheduledMode) => onChange({ record })}
            data={MODES.map((mode) => ({ value: mode, label: t(`mode.${mode}.name`) }))}
          />
        </Group>
      </Stack>
    </fieldset>
  );
}

interface ClockProps {
  label: string;
  /** HH:MM; empty while it is incomplete. */
  value: string;
  onChange: (value: string) => void;
}

function ClockInput({ label, value, onChange }: ClockProps) {
  const { t } = useTranslation("playback");
  return (
    <TimePicker
      size="xs"
      w={150}
      format="24h"
      label={label}
      hoursInputLabel={t("selection.hoursOf", { field: label })}
      minutesInputLabel={t("selection.minutesOf", { field: label })}
      value={value}
      onChange={(time) => onChange(time.slice(0, 5))}
    />
  );
}

function Week({ entries }: { entries: readonly ScheduleEntry[] }) {
  const { t } = useTranslation("cameras");
  const week = weekOf(entries);
  const said = (day: (typeof week)[number]) =>
    day.length === 0
      ? t("schedule.nothing")
      : day.map(({ startMinute, endMinute, mode }) => `${clockText(startMinute)}–${clockText(endMinute)} ${t(`mode.${mode}.name`)}`).join(", ");
  return (
    <div>
      <ul className={classes.week} aria-label={t("schedule.week")} style={{ margin: 0, padding: 0, listStyle: "none" }}>
        {WEEKDAYS.map((name, index) => {
          const day = week[index] ?? [];
          return (
            <li key={name} style={{ display: "contents" }}>
              <span>{t(`schedule.day.${name}`)}</span>
              <span className={classes.day} role="img" aria-label={said(day)} title={said(day)} data-day={name}>
                {day.map(({ startMinute, endMinute, mode }) => (
                  <i
                    key={startMinute}
                    className={classes.stretch}
                    data-mode={mode}
                    style={{
                      left: `${(startMinute / DAY_MINUTES) * 100}%`,
                      width: `${((endMinute - startMinute) / DAY_MINUTES) * 100}%`,
                    }}
                  />
                ))}
              </span>
            </li>
          );
        })}
        <li style={{ display: "contents" }} aria-hidden>
          <span />
          <span className={classes.hours}>
            {HOUR_MARKS.map((hour) => (
              <span key={hour} style={{ left: `${(hour / 24) * 100}%` }}>
                {hour}
              </span>
            ))}
          </span>
        </li>
      </ul>
      <Group gap="md" mt={4}>
        {MODES.map((mode) => (
          <Text key={mode} size="xs" c="dimmed">
            <i className={classes.swatch} data-mode={mode} aria-hidden /> {t(`mode.${mode}.name`)}
          </Text>
        ))}
      </Group>
    </div>
  );
}
