/** How fast pictures really go by, and whether the browser keeps up. Pure. */

interface Reading {
  atMs: number;
  mediaS: number;
  /** Pictures shown so far. */
  shown: number;
}

const OVER_MS = 2_000;
/** Sooner, a speed is a guess. */
const LEAST_MS = 900;
/** What is shown of a speed that is nearly right is the right one. */
const NEARLY = 0.12;
const TOO_SLOW = 0.8;
/** Fewer pictures a second than this is no longer a movie; key pictures alone show more. */
const LEAST_PICTURES_A_SECOND = 3;

export class SpeedMeter {
  private readings: Reading[] = [];

  /** Forget: a jump is no speed. */
  reset(): void {
    this.readings = [];
  }

  push(reading: Reading): void {
    this.readings.push(reading);
    while (this.readings[0] && reading.atMs - this.readings[0].atMs > OVER_MS) this.readings.shift();
  }

  private ends(): { first: Reading; last: Reading; seconds: number } | null {
    const [first] = this.readings;
    const last = this.readings.at(-1);
    if (!first || !last || last.atMs - first.atMs < LEAST_MS) return null;
    return { first, last, seconds: (last.atMs - first.atMs) / 1000 };
  }

  /** Seconds of media a second; null while it is not known. */
  speed(): number | null {
    const ends = this.ends();
    return ends && (ends.last.mediaS - ends.first.mediaS) / ends.seconds;
  }

  picturesPerSecond(): number | null {
    const ends = this.ends();
    return ends && (ends.last.shown - ends.first.shown) / ends.seconds;
  }
}

/** The speed to show beside the chosen one: null where they are the same, or nothing is known. */
export function worthSaying(measured: number | null, rate: number): number | null {
  if (measured === null || Math.abs(measured - rate) <= Math.abs(rate) * NEARLY) return null;
  return Math.round(measured * 10) / 10;
}

/** Whether playing every picture at `rate` is too much for this browser. */
export function fallsBehind(meter: SpeedMeter, rate: number): boolean {
  const speed = meter.speed();
  const pictures = meter.picturesPerSecond();
  return (speed !== null && speed < rate * TOO_SLOW) || (pictures !== null && pictures < LEAST_PICTURES_A_SECOND);
}

/** After a stall, playing by seeking goes on where it was: it never leaps over what nobody saw. */
const LONGEST_STEP_MS = 500;

/** Where playing by seeking is, `elapsedMs` after it was at `mediaS`. */
export function advanced(mediaS: number, elapsedMs: number, rate: number): number {
  return mediaS + (Math.min(Math.max(0, elapsedMs), LONGEST_STEP_MS) / 1000) * rate;
}
