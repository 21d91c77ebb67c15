/**
 * The stretch of time that a timeline shows, and how it moves.
 *
 * Belongs here: pure arithmetic between time and pixels. Does not: drawing, gestures, recordings.
 */

import { dayStart, wallTime } from "../i18n/zone";

export interface View {
  startMs: number;
  endMs: number;
}

export const MIN_SPAN_MS = 20_000;
/** As much as the API tells in one answer. */
export const MAX_SPAN_MS = 400 * 86_400_000;
/** How far past the present a view may reach, as a part of its span. */
const FUTURE_PART = 0.5;

export function spanOf(view: View): number {
  return view.endMs - view.startMs;
}

/** A view of `spanMs` around `centerMs`, within the limits. */
export function around(centerMs: number, spanMs: number): View {
  const span = Math.min(MAX_SPAN_MS, Math.max(MIN_SPAN_MS, spanMs));
  return { startMs: centerMs - span / 2, endMs: centerMs + span / 2 };
}

export function toPx(view: View, widthPx: number, ms: number): number {
  return ((ms - view.startMs) / spanOf(view)) * widthPx;
}

export function toMs(view: View, widthPx: number, px: number): number {
  return widthPx <= 0 ? view.startMs : view.startMs + (px / widthPx) * spanOf(view);
}

export function pan(view: View, deltaMs: number): View {
  return { startMs: view.startMs + deltaMs, endMs: view.endMs + deltaMs };
}

/** Zoom by `factor` (below 1: closer); what is at `anchorMs` stays where it is. */
export function zoom(view: View, factor: number, anchorMs: number): View {
  const span = spanOf(view);
  const next = Math.min(MAX_SPAN_MS, Math.max(MIN_SPAN_MS, span * factor));
  const part = (anchorMs - view.startMs) / span;
  return { startMs: anchorMs - part * next, endMs: anchorMs + (1 - part) * next };
}

/** Two fingers that held the times `firstMs` and `secondMs` are now at these pixels. */
export function pinch(
  view: View,
  widthPx: number,
  first: { ms: number; px: number },
  second: { ms: number; px: number },
): View {
  const distancePx = second.px - first.px;
  if (Math.abs(distancePx) < 8 || widthPx <= 0) return view;
  const span = ((second.ms - first.ms) / distancePx) * widthPx;
  if (!(span >= MIN_SPAN_MS && span <= MAX_SPAN_MS)) return view;
  const startMs = first.ms - (first.px / widthPx) * span;
  return { startMs, endMs: startMs + span };
}

/** Keep the present in reach: the future has nothing to show. */
export function clampToNow(view: View, nowMs: number): View {
  const excess = view.endMs - (nowMs + spanOf(view) * FUTURE_PART);
  return excess > 0 ? pan(view, -excess) : view;
}

/** The smallest pan that brings `ms` between the parts `from` and `to` of the view (0 to 1). */
export function reveal(view: View, ms: number, from = 0.1, to = 0.9): View {
  const span = spanOf(view);
  const low = view.startMs + span * from;
  const high = view.startMs + span * to;
  if (ms < low) return pan(view, ms - low);
  if (ms > high) return pan(view, ms - high);
  return view;
}

/** The range to ask the API for: wider than the view and snapped, so that panning asks seldom. */
export function fetchRange(view: View): View {
  const step = 2 ** Math.ceil(Math.log2(spanOf(view))) / 2;
  return {
    startMs: Math.floor((view.startMs - step / 2) / step) * step,
    endMs: Math.ceil((view.endMs + step / 2) / step) * step,
  };
}

/** The zone's day that contains `ms`, midnight to midnight; 23 or 25 hours when clocks change. */
export function dayOf(zone: string, ms: number): View {
  const { year, month, day } = wallTime(zone, ms);
  return { startMs: dayStart(zone, year, month, day), endMs: dayStart(zone, year, month, day + 1) };
}

/** Keep what moves in sight: when it was in view and nears the right edge, the view moves along. */
export function follow(view: View, beforeMs: number, ms: number, to = 0.9): View {
  const wasInView = beforeMs >= view.startMs && beforeMs <= view.endMs;
  return wasInView && ms > beforeMs ? reveal(view, ms, Number.NEGATIVE_INFINITY, to) : view;
}
