/**
 * Which stretch of recordings to load next. Pure.
 *
 * A playlist covers at most an hour; playing on past its end is a further window.
 */
import type { Recordings, Span } from "../api/recordings";

export const WINDOW_MS = 3_600_000;
/** Closer to the present than this, there is more to see live. */
export const NEAR_LIVE_MS = 4_000;

/**
 * The window that plays `fromMs`, or what comes first after it; null when nothing does.
 * `recordings` must cover fromMs to fromMs + WINDOW_MS, or to where something was found.
 */
export function planWindow(recordings: Recordings, fromMs: number, nowMs: number): Span | null {
  const span = recordings.spans.find((item) => item.endMs > fromMs);
  if (!span) return null;
  const startMs = Math.max(fromMs, span.startMs);
  const endMs = Math.min(startMs + WINDOW_MS, nowMs);
  return endMs > startMs ? { startMs, endMs } : null;
}

/**
 * The window that ends at `toMs`, or where recording ended before it; null when nothing is recorded before.
 * `recordings` must cover what lies before toMs, as far as something was found.
 */
export function planWindowBefore(recordings: Recordings, toMs: number): Span | null {
  const span = recordings.spans.findLast((item) => item.startMs < toMs);
  if (!span) return null;
  const endMs = Math.min(toMs, span.endMs);
  return { startMs: Math.max(0, endMs - WINDOW_MS), endMs };
}

/** A piece of a playlist: where it is in the player's time and when it was. */
export interface Piece {
  mediaStartS: number;
  durationS: number;
  wallStartMs: number;
}

/** A player's time is rounded: what is this close to a piece's start is in it. */
const ROUNDING_S = 0.002;

/** The wall clock at a place of the player's time; null before anything is known. */
export function wallAt(pieces: readonly Piece[], mediaS: number): number | null {
  const piece = pieces.findLast((item) => item.mediaStartS <= mediaS + ROUNDING_S) ?? pieces[0];
  if (!piece) return null;
  const insideS = Math.min(Math.max(0, mediaS - piece.mediaStartS), piece.durationS);
  return piece.wallStartMs + insideS * 1000;
}

/** Where a wall clock time is in the player's time; in a gap, where the recording resumes. */
export function mediaAt(pieces: readonly Piece[], wallMs: number): number | null {
  const piece = pieces.find((item) => item.wallStartMs + item.durationS * 1000 > wallMs);
  if (!piece) return null;
  return piece.mediaStartS + Math.max(0, wallMs - piece.wallStartMs) / 1000;
}

/** When the last piece ends; null before anything is known. */
export function wallEnd(pieces: readonly Piece[]): number | null {
  const last = pieces.at(-1);
  return last ? last.wallStartMs + last.durationS * 1000 : null;
}

/**
 * The longest stretch without recordings that playing from one time to the other, in either direction, led over; null where
 * none is longer than `leastMs`. A clock that went far says nothing: a busy browser looks at it seldom.
 */
export function gapBetween(pieces: readonly Piece[], oneMs: number, otherMs: number, leastMs: number): Span | null {
  const [fromMs, toMs] = [Math.min(oneMs, otherMs), Math.max(oneMs, otherMs)];
  let longest: Span | null = null;
  for (const [index, piece] of pieces.entries()) {
    const startMs = piece.wallStartMs + piece.durationS * 1000;
    const endMs = pieces[index + 1]?.wallStartMs ?? startMs;
    const ledOver = startMs >= fromMs && endMs <= toMs;
    if (ledOver && endMs - startMs > (longest ? longest.endMs - longest.startMs : leastMs)) longest = { startMs, endMs };
  }
  return longest;
}

/** The time from which `backMs` of recordings lead to `fromMs`: gaps do not count, or nobody could step over one. */
export function recordedBefore(spans: readonly Span[], fromMs: number, backMs: number): number {
  let left = backMs;
  for (const span of spans.filter((item) => item.startMs < fromMs).toReversed()) {
    const endMs = Math.min(span.endMs, fromMs);
    if (endMs - span.startMs >= left) return endMs - left;
    left -= endMs - span.startMs;
  }
  return fromMs - backMs;
}
