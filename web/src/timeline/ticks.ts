/** Where a timeline's marks and labels stand, in local time, for any zoom. */
import { spanOf, type View } from "./view";

export interface Tick {
  ms: number;
  /** How its label is written; null: a mark without one. */
  label: "day" | "minute" | "second" | null;
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

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
];
const LAST_STEP = [7 * DAY, DAY] as const;

/** The distance of labels and of marks that leaves `labelPx` for each label. */
export function tickSteps(view: View, widthPx: number, labelPx: number): readonly [number, number] {
  const needed = (spanOf(view) / Math.max(1, widthPx)) * labelPx;
  return STEPS.find(([label]) => label >= needed) ?? LAST_STEP;
}

/** The multiples of `stepMs` of local time in the view; days and hours follow clock changes. */
export function localTimes(view: View, stepMs: number): number[] {
  const start = new Date(view.startMs);
  const times: number[] = [];
  if (stepMs < HOUR) {
    const offset = -start.getTimezoneOffset() * MINUTE;
    const first = Math.ceil((view.startMs + offset) / stepMs) * stepMs - offset;
    for (let ms = first; ms <= view.endMs; ms += stepMs) times.push(ms);
    return times;
  }
  const days = Math.max(1, stepMs / DAY);
  const hours = stepMs >= DAY ? 24 : stepMs / HOUR;
  const [year, month, date] = [start.getFullYear(), start.getMonth(), start.getDate()];
  for (let day = 0; ; day += 1) {
    const midnight = new Date(year, month, date + day);
    if (midnight.getTime() > view.endMs) return times;
    const dayNumber = Date.UTC(midnight.getFullYear(), midnight.getMonth(), midnight.getDate()) / DAY;
    if (dayNumber % days !== 0) continue;
    for (let hour = 0; hour < 24; hour += hours) {
      const ms = new Date(year, month, date + day, hour).getTime();
      const last = times.at(-1);
      if (ms >= view.startMs && ms <= view.endMs && (last === undefined || ms > last)) times.push(ms);
    }
  }
}

function isMidnight(ms: number): boolean {
  const date = new Date(ms);
  // Where clocks change at midnight, the day begins at 01:00.
  return date.getTime() === new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
}

export function ticks(view: View, widthPx: number, labelPx = 84): Tick[] {
  const [labelStep, markStep] = tickSteps(view, widthPx, labelPx);
  const labelled = new Set(localTimes(view, labelStep));
  const times = new Set([...labelled, ...localTimes(view, markStep)]);
  return [...times]
    .sort((a, b) => a - b)
    .map((ms): Tick => {
      if (!labelled.has(ms)) return { ms, label: null };
      if (isMidnight(ms)) return { ms, label: "day" };
      return { ms, label: labelStep < MINUTE ? "second" : "minute" };
    });
}
