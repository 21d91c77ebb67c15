/** What to ask for a long view: how wide, how fine. Pure. */
import { MAX_SPAN_MS, spanOf, type View } from "./view";

/** Wider views are told by coverage, without the files and gaps of every day. */
export const LONG_MS = 7 * 86_400_000;
const RESOLUTIONS_S = [1, 5, 15, 60, 300, 900, 3_600, 10_800, 21_600] as const;
/** More places than this no screen has. */
const PLACES = 2_500;

/** How far apart what is told must be, in seconds, so that a screen can show the difference. */
export function resolutionFor(view: View): number {
  const neededS = spanOf(view) / PLACES / 1000;
  return RESOLUTIONS_S.findLast((seconds) => seconds <= Math.max(1, neededS)) ?? 1;
}

/** The range to ask for: a little wider than the view and snapped, so that panning asks seldom; never too wide. */
export function coverageRange(view: View): View {
  const step = 2 ** Math.ceil(Math.log2(spanOf(view))) / 4;
  const startMs = Math.floor(view.startMs / step) * step;
  const endMs = Math.ceil(view.endMs / step) * step;
  if (endMs - startMs <= MAX_SPAN_MS) return { startMs, endMs };
  const second = Math.ceil(view.endMs / 60_000) * 60_000;
  return { startMs: Math.max(startMs, second - MAX_SPAN_MS), endMs: second };
}
