/** What was recorded, as bars in pixels: only what is in view, never more bars than pixels. */
import type { Gap, Recordings, Span } from "../api/recordings";
import { toLocalTime } from "../i18n/localTime";
import { dayOf, spanOf, toPx, type View } from "./view";

export interface Bar {
  x: number;
  width: number;
}

export interface GapBar extends Bar {
  reason: string;
}

/** A gap narrower than this could not be seen. */
const MIN_GAP_PX = 2;

function visible<T extends Span>(spans: readonly T[], view: View): T[] {
  return spans.filter((span) => span.endMs > view.startMs && span.startMs < view.endMs);
}

function bar(span: Span, view: View, widthPx: number): Bar {
  const x = Math.max(0, toPx(view, widthPx, span.startMs));
  return { x, width: Math.min(widthPx, toPx(view, widthPx, span.endMs)) - x };
}

/** Recorded stretches in time order; what stands less than a pixel apart becomes one bar. */
export function spanBars(spans: readonly Span[], view: View, widthPx: number): Bar[] {
  const bars: Bar[] = [];
  const pxPerMs = widthPx / spanOf(view);
  let last: Bar | undefined;
  // A year of two hundred cameras is drawn many times a second: nothing is made but bars.
  for (const { startMs, endMs } of spans) {
    if (endMs <= view.startMs || startMs >= view.endMs) continue;
    const x = Math.max(0, (startMs - view.startMs) * pxPerMs);
    const end = Math.min(widthPx, (endMs - view.startMs) * pxPerMs);
    if (last && x - (last.x + last.width) < 1) {
      last.width = Math.max(last.width, end - last.x);
    } else {
      last = { x, width: Math.max(1, end - x) };
      bars.push(last);
    }
  }
  return bars;
}

/** Gaps in time order, each wide enough to be seen; those on the same pixels become one. */
export function gapBars(gaps: readonly Gap[], view: View, widthPx: number): GapBar[] {
  const bars: GapBar[] = [];
  for (const gap of visible(gaps, view)) {
    const { x, width } = bar(gap, view, widthPx);
    const last = bars.at(-1);
    if (last && last.reason === gap.reason && x - (last.x + last.width) < 1) {
      last.width = Math.max(last.width, x + width - last.x);
    } else {
      bars.push({ x, width: Math.max(MIN_GAP_PX, width), reason: gap.reason });
    }
  }
  return bars;
}

/** What the timeline knows of one instant. */
export type Instant = { kind: "recorded" } | { kind: "gap"; gap: Gap } | { kind: "nothing" };

/** What is at `ms`; a gap is found up to `toleranceMs` away, since it may be drawn wider than it is. */
export function instantAt(recordings: Recordings, ms: number, toleranceMs = 0): Instant {
  const gap = recordings.gaps.find(
    (item) => ms >= item.startMs - toleranceMs && ms <= item.endMs + toleranceMs,
  );
  if (gap) return { kind: "gap", gap };
  const recorded = recordings.spans.some((span) => ms >= span.startMs && ms < span.endMs);
  return { kind: recorded ? "recorded" : "nothing" };
}

/** The gap to look at next (direction 1) or before (-1), seen from `ms`; one within `leadMs` is this one. */
export function adjacentGap(gaps: readonly Gap[], ms: number, direction: 1 | -1, leadMs: number): Gap | undefined {
  return direction > 0
    ? gaps.find((gap) => gap.startMs > ms + leadMs)
    : gaps.findLast((gap) => gap.endMs < ms && gap.startMs < ms - leadMs);
}

/** The zone's dates on which something was recorded. */
export function recordedDates(zone: string, spans: readonly Span[]): Set<string> {
  const dates = new Set<string>();
  for (const span of spans) {
    for (let ms = span.startMs; ms < span.endMs; ms = dayOf(zone, ms).endMs) dates.add(toLocalTime(zone, ms).date);
  }
  return dates;
}
