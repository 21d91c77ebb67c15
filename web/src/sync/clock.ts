/** The clock that all cameras follow: wall clock time of the recordings, at any speed. Pure. */

export class MasterClock {
  private anchorMs: number;
  private anchoredAtMs = 0;
  private speed = 1;
  private running = false;

  /** now: a steady clock in milliseconds. */
  constructor(
    startMs: number,
    private readonly now: () => number,
  ) {
    this.anchorMs = startMs;
  }

  read(): number {
    return this.running ? this.anchorMs + (this.now() - this.anchoredAtMs) * this.speed : this.anchorMs;
  }

  get isRunning(): boolean {
    return this.running;
  }

  get rate(): number {
    return this.speed;
  }

  set(change: { ms?: number; rate?: number; running?: boolean }): void {
    this.anchorMs = change.ms ?? this.read();
    this.anchoredAtMs = this.now();
    this.speed = change.rate ?? this.speed;
    this.running = change.running ?? this.running;
  }
}
