/** A week's recording as the schedule editor shows it. Pure. */
import type { Schedule, ScheduleEntry, Weekday } from "../api/types";
import { offsetMs, wallTime } from "../i18n/zone";

export const WEEKDAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const satisfies readonly Weekday[];
export const DAY_MINUTES = 1440;

export type ScheduledMode = ScheduleEntry["record"];

export interface ScheduleForm {
  /** Empty: the site's. */
  timeZone: string;
  entries: ScheduleEntry[];
}

/** A stretch of a day, in minutes of its clock. */
export interface Stretch {
  startMinute: number;
  endMinute: number;
  mode: ScheduledMode;
}

export const NEW_ENTRY: ScheduleEntry = {
  days: ["mon", "tue", "wed", "thu", "fri"],
  start: "08:00",
  end: "18:00",
  record: "continuous",
};

/** 24:00 is midnight, which time fields call 00:00: an end that is not after its start is of the next day. */
export function scheduleForm(schedule: Schedule | null): ScheduleForm {
  if (!schedule) return { timeZone: "", entries: [NEW_ENTRY] };
  const entries = schedule.entries.map((entry) => ({ ...entry, end: entry.end === "24:00" ? "00:00" : entry.end }));
  return { timeZone: schedule.time_zone ?? "", entries };
}

export function sentSchedule({ timeZone, entries }: ScheduleForm): Schedule {
  return {
    time_zone: timeZone === "" ? null : timeZone,
    entries: entries.map((entry) => ({ ...entry, days: WEEKDAYS.filter((day) => entry.days.includes(day)) })),
  };
}

/** Minutes since midnight; null: no time of day. */
export function minuteOf(text: string): number | null {
  const match = /^([01]\d|2[0-3]):([0-5]\d)(:\d\d)?$/.exec(text);
  return match ? Number(match[1]) * 60 + Number(match[2]) : null;
}

export function isComplete(entry: ScheduleEntry): boolean {
  return entry.days.length > 0 && minuteOf(entry.start) !== null && minuteOf(entry.end) !== null;
}

export function endsNextDay({ start, end }: ScheduleEntry): boolean {
  const [first, last] = [minuteOf(start), minuteOf(end)];
  return first !== null && last !== null && last <= first;
}

function mark(week: (ScheduledMode | null)[], from: number, to: number, mode: ScheduledMode): void {
  for (let minute = from; minute < to; minute += 1) {
    const place = minute % week.length; // Sunday's night ends on Monday
    if (week[place] !== "continuous") week[place] = mode;
  }
}

/** What is recorded on each day, Monday first; where entries overlap, continuous wins. */
export function weekOf(entries: readonly ScheduleEntry[]): Stretch[][] {
  const week: (ScheduledMode | null)[] = Array.from({ length: 7 * DAY_MINUTES }, () => null);
  for (const entry of entries) {
    const [start, end] = [minuteOf(entry.start), minuteOf(entry.end)];
    if (start === null || end === null) continue;
    for (const day of entry.days) {
      const midnight = WEEKDAYS.indexOf(day) * DAY_MINUTES;
      mark(week, midnight + start, midnight + end + (end <= start ? DAY_MINUTES : 0), entry.record);
    }
  }
  return WEEKDAYS.map((_, day) => stretches(week.slice(day * DAY_MINUTES, (day + 1) * DAY_MINUTES)));
}

function stretches(day: readonly (ScheduledMode | null)[]): Stretch[] {
  const found: Stretch[] = [];
  day.forEach((mode, minute) => {
    const last = found.at(-1);
    if (mode === null) return;
    if (last && last.mode === mode && last.endMinute === minute) last.endMinute = minute + 1;
    else found.push({ startMinute: minute, endMinute: minute + 1, mode });
  });
  return found;
}

/** `08:00`; the end of the day is 24:00. */
export function clockText(minute: number): string {
  return `${String(Math.floor(minute / 60)).padStart(2, "0")}:${String(minute % 60).padStart(2, "0")}`;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

export interface ClockChange {
  atMs: number;
  /** What clocks show right before and right after. */
  from: string;
  to: string;
  /** They are set back: an hour comes twice. */
  back: boolean;
}

/** When clocks of the zone change next, within a year; null: they do not. */
export function nextClockChange(zone: string, fromMs: number): ClockChange | null {
  const before = offsetMs(zone, fromMs);
  let late = fromMs;
  while (late < fromMs + 366 * DAY_MS && offsetMs(zone, late) === before) late += DAY_MS;
  const after = offsetMs(zone, late);
  if (after === before) return null;
  let early = late - DAY_MS;
  while (late - early > 60_000) {
    const middle = Math.floor((early + late) / 2);
    if (offsetMs(zone, middle) === before) early = middle;
    else late = middle;
  }
  const atMs = Math.floor(late / 60_000) * 60_000;
  // The clock of before, had it gone on.
  return { atMs, from: clockAt("UTC", atMs + before), to: clockAt("UTC", atMs + after), back: after < before };
}

function clockAt(zone: string, ms: number): string {
  const { hour, minute } = wallTime(zone, ms);
  return clockText(hour * 60 + minute);
}
