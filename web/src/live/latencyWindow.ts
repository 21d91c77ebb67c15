/**
 * What a viewer saw in the last few seconds: how old its pictures were and how many stood still too long.
 *
 * Belongs here: counting and summing up. Does not: the browser's callbacks (useLatency.ts), sending (client.ts).
 */
export type LiveProtocol = "webrtc" | "websocket" | "hls" | "webtransport";

/** Upper bounds in ms, inclusive, as the API's reports have them; the last bucket has none. */
export const BOUNDS_MS = [1, 2.5, 5, 10, 25, 50, 100, 150, 200, 300, 500, 1_000, 2_500] as const;
/** Outside of this the clocks disagree, and the figure would mislead. */
const PLAUSIBLE_MS = 20_000;
/** Of one report; the API takes no more. */
const PICTURES_MAX = 10_000;

export interface LatencySums {
  counts: number[];
  sum_ms: number;
}

export interface ViewerReport {
  protocol: LiveProtocol;
  frames: number;
  dropped: number;
  freezes: number;
  /** From the server to here. */
  network_ms?: number;
  camera_to_screen?: LatencySums;
  in_browser?: LatencySums;
}

/** A picture that was shown. Times of `performance.now()`; NaN: the browser does not tell. */
export interface ShownPicture {
  shownMs: number;
  capturedMs: number;
  receivedMs: number;
}

export interface LatencySummary {
  p50Ms: number;
  p95Ms: number;
}

export class LatencyWindow {
  private ages: number[] = [];
  private inBrowser: number[] = [];
  private frames = 0;
  private freezes = 0;
  private lastShownMs: number | null = null;
  private usualMs: number | null = null;

  note({ shownMs, capturedMs, receivedMs }: ShownPicture): void {
    this.noteInterval(shownMs);
    if (this.frames === PICTURES_MAX) return;
    this.frames += 1;
    const age = shownMs - capturedMs;
    if (age >= 0 && age < PLAUSIBLE_MS) this.ages.push(age);
    const inBrowser = shownMs - receivedMs;
    if (inBrowser >= 0 && inBrowser < PLAUSIBLE_MS) this.inBrowser.push(inBrowser);
  }

  /** Pictures are not shown for a reason that is nobody's fault: the page is hidden, or another session begins. */
  pause(): void {
    this.lastShownMs = null;
  }

  /** Of the pictures since the last `take`; null when the age of none is known. */
  get summary(): LatencySummary | null {
    if (this.ages.length === 0) return null;
    const ordered = this.ages.toSorted((a, b) => a - b);
    const at = (share: number) => ordered[Math.min(ordered.length - 1, Math.floor(share * ordered.length))] ?? 0;
    return { p50Ms: at(0.5), p95Ms: at(0.95) };
  }

  /** What is to be reported, and begin anew; null when nothing was shown. dropped: decoded and not shown since. */
  take(protocol: LiveProtocol, dropped: number): ViewerReport | null {
    const { ages, inBrowser, frames, freezes } = this;
    this.ages = [];
    this.inBrowser = [];
    this.frames = 0;
    this.freezes = 0;
    if (frames === 0) return null;
    const report: ViewerReport = { protocol, frames, dropped: Math.min(Math.max(dropped, 0), PICTURES_MAX), freezes };
    if (ages.length > 0) report.camera_to_screen = sumsOf(ages);
    if (inBrowser.length > 0) report.in_browser = sumsOf(inBrowser);
    return report;
  }

  /** A freeze as WebRTC's statistics define it: longer than 3 usual intervals, and than one and 150 ms. */
  private noteInterval(shownMs: number): void {
    const last = this.lastShownMs;
    this.lastShownMs = shownMs;
    if (last === null) return;
    const interval = shownMs - last;
    const usual = this.usualMs;
    if (usual !== null && interval > Math.max(3 * usual, usual + 150)) this.freezes += 1;
    else this.usualMs = usual === null ? interval : usual + (interval - usual) / 30;
  }
}

function sumsOf(values: readonly number[]): LatencySums {
  const counts = Array.from({ length: BOUNDS_MS.length + 1 }, () => 0);
  for (const value of values) {
    const bucket = BOUNDS_MS.findIndex((bound) => value <= bound);
    const at = bucket < 0 ? BOUNDS_MS.length : bucket;
    counts[at] = (counts[at] ?? 0) + 1;
  }
  return { counts, sum_ms: values.reduce((sum, value) => sum + value, 0) };
}
