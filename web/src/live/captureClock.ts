/**
 * When a picture was captured, from its media time: what a live view over WebSocket knows of its latency. Pure.
 *
 * Server and browser have different clocks. The quickest message yet tells how far they are apart, but for the time
 * that it was on its way; so the ages are short of the network's least delay, and of nothing else.
 */
const MADE_AT = 9;
const HEADER_BYTES = 17;

/** Messages so old count no longer, so that clocks may drift. */
const REMEMBERED_MS = 60_000;

export class CaptureClock {
  private firstEpochMs: number | null = null;
  /** This clock minus the server's, at least: of this window of time and the one before. */
  private apartMs: [number, number] = [Infinity, Infinity];
  private windowSinceMs = 0;

  /** A stream whose media time 0 is at that Unix time; by how many seconds its times are to be shifted. */
  begin(epochMs: number): number {
    this.firstEpochMs ??= epochMs;
    return (epochMs - this.firstEpochMs) / 1_000;
  }

  /** A binary message has come (docs/api/live-websocket.md). */
  noteMessage(data: ArrayBuffer, nowMs: number): void {
    if (data.byteLength < HEADER_BYTES) return;
    this.noteMade(Number(new DataView(data).getBigUint64(MADE_AT)) / 1e6, nowMs);
  }

  /** Something has come that the server made at that Unix time. */
  noteMade(madeMs: number, nowMs: number): void {
    if (nowMs - this.windowSinceMs > REMEMBERED_MS) {
      this.apartMs = [Infinity, this.apartMs[0]];
      this.windowSinceMs = nowMs;
    }
    this.apartMs[0] = Math.min(this.apartMs[0], nowMs - madeMs);
  }

  /** On the clock of `noteMessage`; NaN: not known. */
  capturedMs(mediaTimeS: number): number {
    return this.firstEpochMs === null ? Number.NaN : this.hereMs(this.firstEpochMs + mediaTimeS * 1_000);
  }

  /** A Unix time of the server on the clock of `noteMade`; NaN: not known. */
  hereMs(unixMs: number): number {
    const apartMs = Math.min(...this.apartMs);
    return apartMs === Infinity ? Number.NaN : unixMs + apartMs;
  }
}
