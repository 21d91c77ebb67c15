/** Where a timeline's marks and labels stand, by the clocks of a zone, for any zoom. */
import { comesTwice, dayStart, instantOf, offsetMs, wallTime } from "../i18n/zone";
import { spanOf, type View } from "./view";

export interface Tick {
  ms: number;
  /** How its label is written; null: a mark without one. */
  label: "month" | "day" | "minute" | "second" | null;
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** Stands for a calendar month, whatever its length. */
export const MONTH = 30 * DAY;
const SHORTEST_MONTH = 28 / 30;

/** [between labels, between marks]; each mark step divides its label step. */
const STEPS: readonly (readonly [number, number])[] = [
  [SECOND, SECOND],
  [2 * SECOND, SECOND],
  [5 * SECOND, SECOND],
  [10 * SECOND, 2 * SECOND],
  [15 * SECOND, 5 * SECOND],
  [30 * SECOND, 5 * SECOND],
  [MINUTE, 10 * SECOND],
  [2 * MINUTE, 30 * SECOND],
  [5 * MINUTE, MINUTE],
  [10 * MINUTE, 2 * MINUTE],
  [15 * MINUTE, 5 * MINUTE],
  [30 * MINUTE, 5 * MINUTE],
  [HOUR, 10 * MINUTE],
  [2 * HOUR, 30 * MINUTE],
  [3 * HOUR, 30 * MINUTE],
  [6 * HOUR, HOUR],
  [12 * HOUR, 3 * HOUR],
  [DAY, 6 * HOUR],
  [2 * DAY, 12 * HOUR],
  [7 * DAY, DAY],
  [14 * DAY, DAY],
  [MONTH, 7 * DAY],
  [2 * MONTH, MONTH],
  [3 * MONTH, MONTH],
  [6 * MONTH, MONTH],
];
const LAST_STEP = [12 * MONTH, 3 * MONTH] as const;

/** The distance of labels and of marks that leaves `labelPx` for each label. */
export function tickSteps(view: View, widthPx: number, labelPx: number): readonly [number, number] {
  const needed = (spanOf(view) / Math.max(1, widthPx)) * labelPx;
  return STEPS.find(([label]) => (label < MONTH ? label : label * SHORTEST_MONTH) >= needed) ?? LAST_STEP;
}

/** The multiples of `stepMs` by the zone's clocks in the view; months, days and hours follow clock changes. */
export function localTimes(zone: string, view: View, stepMs: number): number[] {
  if (stepMs >= MONTH) return inView(view, months(zone, view, Math.round(stepMs / MONTH)));
  if (stepMs >= DAY) return inView(view, days(zone, view, Math.round(stepMs / DAY)));
  if (stepMs >= HOUR) return inView(view, hours(zone, view, Math.round(stepMs / HOUR)));
  const offset = offsetMs(zone, view.startMs);
  const first = Math.ceil((view.startMs + offset) / stepMs) * stepMs - offset;
  return Array.from({ length: Math.max(0, Math.floor((view.endMs - first) / stepMs) + 1) }, (_, n) => first + n * stepMs);
}

function inView(view: View, times: Iterable<number>): number[] {
  return [...times].filter((ms) => ms >= view.startMs && ms <= view.endMs);
}

function* months(zone: string, view: View, every: number): Iterable<number> {
  const { year, month } = wallTime(zone, view.startMs);
  for (let at = year * 12 + Math.floor((month - 1) / every) * every; ; at += every) {
    const ms = dayStart(zone, Math.floor(at / 12), (at % 12) + 1, 1);
    if (ms > view.endMs) return;
    yield ms;
  }
}

function* days(zone: string, view: View, every: number): Iterable<number> {
  const { year, month, day } = wallTime(zone, view.startMs);
  for (let number = Date.UTC(year, month - 1, day) / DAY; ; number += 1) {
    if (number % every !== 0) continue;
    const date = new Date(number * DAY);
    const ms = dayStart(zone, date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate());
    if (ms > view.endMs) return;
    yield ms;
  }
}

function* hours(zone: string, view: View, every: number): Iterable<number> {
  let last = Number.NEGATIVE_INFINITY;
  const start = { ...wallTime(zone, view.startMs), minute: 0, second: 0 };
  for (let hour = Math.floor(start.hour / every) * every; ; hour += every) {
    const ms = instantOf(zone, { ...start, hour });
    if (ms > view.endMs) return;
    // An hour that clocks leave out is the one after it.
    if (ms > last) yield ms;
    last = Math.max(last, ms);
    if (every === 1 && comesTwice(zone, ms) && comesTwice(zone, ms + HOUR)) yield (last = ms + HOUR);
  }
}

function isMidnight(zone: string, ms: number): boolean {
  const { year, month, day } = wallTime(zone, ms);
  // Where clocks change at midnight, the day begins at 01:00.
  return ms === dayStart(zone, year, month, day);
}

export function ticks(zone: string, view: View, widthPx: number, labelPx = 84): Tick[] {
  const [labelStep, markStep] = tickSteps(view, widthPx, labelPx);
  const labelled = new Set(localTimes(zone, view, labelStep));
  const times = new Set([...labelled, ...localTimes(zone, view, markStep)]);
  return [...times]
    .sort((a, b) => a - b)
    .map((ms): Tick => {
      if (!labelled.has(ms)) return { ms, label: null };
      if (labelStep >= MONTH) return { ms, label: "month" };
      if (isMidnight(zone, ms)) return { ms, label: "day" };
      return { ms, label: labelStep < MINUTE ? "second" : "minute" };
    });
}
