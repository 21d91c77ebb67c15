/** Speeds, forward and back, and how each is played. Pure. */

export const FORWARD = [0.25, 0.5, 1, 2, 4, 8, 16] as const;
export const REVERSE = [-1, -2, -4, -8] as const;
/** From the fastest backwards to the fastest forward, as the keys go through them. */
export const RATES: readonly number[] = [...REVERSE.toReversed(), ...FORWARD];

/** Beyond this, sound is noise. */
const FASTEST_SOUND = 2;
/** From here on a browser may not decode every picture in time. */
export const MAY_FALL_BEHIND = 4;

/** The next slower or faster speed; the same at an end. */
export function nextRate(rate: number, by: 1 | -1): number {
  const index = RATES.indexOf(rate);
  return RATES[index + by] ?? rate;
}

/** The other direction: the same speed where there is one. */
export function reversed(rate: number): number {
  if (rate < 0) return 1;
  return REVERSE.find((reverse) => -reverse === rate) ?? -1;
}

export function hasSound(rate: number): boolean {
  return rate > 0 && rate <= FASTEST_SOUND;
}

/** How far ahead to load, in seconds of media: the same time at any speed, within what browsers hold. */
export function bufferAheadS(rate: number): number {
  return Math.min(120, Math.max(30, 8 * Math.abs(rate)));
}
