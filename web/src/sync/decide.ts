/** How a player gets to where the common clock is, and stays there. Pure. */

/** Closer than this, nothing is done: it is less than half a picture. */
const GOOD_MS = 15;
/** Further apart, a small change of speed would take too long. */
export const SEEK_BEYOND_MS = 300;
/** Nobody sees this much of a change of speed. */
const MOST_TRIM = 0.12;
/** The distance is made up in about this long. */
const MADE_UP_IN_MS = 700;
/** A seek needs time: the next one waits for what it led to. */
const SEEK_AGAIN_MS = 1_500;
/** Backwards, and faster than this, each picture is sought. */
const FASTEST_PLAYED = 4;

export interface Situation {
  /** Of the picture, before (below 0) or after the common clock, in milliseconds of wall clock. */
  offsetMs: number;
  /** Chosen speed. */
  rate: number;
  sinceSeekMs: number;
  /** How long seeks have taken here. */
  seekTakesMs: number;
}

export type Action =
  /** Play at the chosen speed times this. */
  | { kind: "play"; trim: number }
  /** Too far ahead: stand still until the clock is here. */
  | { kind: "wait" }
  /** Go to where the clock will be when that is done: so far from where it is now. */
  | { kind: "seek"; aheadMs: number };

export function isPlayed(rate: number): boolean {
  return rate > 0 && rate <= FASTEST_PLAYED;
}

export function decide({ offsetMs, rate, sinceSeekMs, seekTakesMs }: Situation): Action {
  if (Math.abs(offsetMs) <= GOOD_MS) return { kind: "play", trim: 1 };
  if (Math.abs(offsetMs) > SEEK_BEYOND_MS * Math.max(1, rate)) {
    if (sinceSeekMs > SEEK_AGAIN_MS) return { kind: "seek", aheadMs: seekTakesMs * rate };
    return offsetMs > 0 ? { kind: "wait" } : { kind: "play", trim: 1 + MOST_TRIM };
  }
  const needed = -offsetMs / rate / MADE_UP_IN_MS;
  return { kind: "play", trim: 1 + Math.min(MOST_TRIM, Math.max(-MOST_TRIM, needed)) };
}

/** What seeks take, learnt: as the last ones did, none counted for more than a second. */
export function learnt(seekTakesMs: number, tookMs: number): number {
  return seekTakesMs * 0.6 + Math.min(1_000, tookMs) * 0.4;
}
