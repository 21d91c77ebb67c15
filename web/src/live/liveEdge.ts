/** Keeping a buffered picture at the present: when to play faster, when to jump, what to forget. Pure. */

export interface Range {
  start: number;
  end: number;
}

export interface EdgeStep {
  rate: number;
  /** Where to go at once, in seconds of media; null: stay. */
  seekTo: number | null;
}

/** So far behind the newest picture a player is at its best: pictures come in pulses. */
export const BEHIND_S = 0.15;
/** Further behind, it plays faster until it is there again: the further, the faster (sound keeps its pitch) … */
const HURRY_BEHIND_S = 0.5;
const HURRY_RATE = 1.05;
const FASTER = [
  { behindS: 1, rate: 1.5 },
  { behindS: HURRY_BEHIND_S, rate: 1.2 },
];
/** … and further still, it leaves out what lies between. */
const JUMP_BEHIND_S = 3;
/** Media older than this is forgotten. */
export const KEEP_S = 10;

/** What a player at `atS` does. hurrying: it plays faster already, and goes on with that until it is there. */
export function edgeStep(atS: number, ranges: readonly Range[], hurrying: boolean): EdgeStep {
  const newest = ranges.at(-1);
  if (!newest) return { rate: 1, seekTo: null };
  const behindS = newest.end - atS;
  const outside = atS < newest.start - 0.01;
  if (outside || behindS > JUMP_BEHIND_S) {
    return { rate: 1, seekTo: Math.max(newest.start, newest.end - BEHIND_S) };
  }
  const hurry = behindS > (hurrying ? BEHIND_S : HURRY_BEHIND_S);
  const rate = FASTER.find((step) => behindS > step.behindS)?.rate ?? HURRY_RATE;
  return { rate: hurry ? rate : 1, seekTo: null };
}

/** Up to where media can be forgotten; null: nothing yet. */
export function forgetUntil(atS: number, ranges: readonly Range[]): number | null {
  const oldest = ranges.at(0);
  return oldest && atS - oldest.start > 2 * KEEP_S ? atS - KEEP_S : null;
}
