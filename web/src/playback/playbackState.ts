/** What the player tells of itself, and to whom. */
import type { DeckProblem } from "./deck";

export type PlaybackProblem = DeckProblem | "empty" | "offline";

export interface PlaybackSnapshot {
  /** False: nothing is played back; the page shows the present. */
  active: boolean;
  /** The time that is shown, or asked for while it loads. */
  wallMs: number | null;
  paused: boolean;
  /** No picture yet, or no data to go on. */
  loading: boolean;
  /** The chosen speed; below 0: backwards. */
  rate: number;
  /** The real one, where it is another and known. */
  actual: number | null;
  /** Only key pictures are shown, because every picture is too much at this speed. */
  keyPictures: boolean;
  problem: PlaybackProblem | null;
  /** A stretch without recordings that was just skipped. */
  skipped: { startMs: number; endMs: number } | null;
  /** Everything recorded has been played: what comes now is live. */
  caughtUp: boolean;
}

export const IDLE: PlaybackSnapshot = {
  active: false,
  wallMs: null,
  paused: false,
  loading: false,
  rate: 1,
  actual: null,
  keyPictures: false,
  problem: null,
  skipped: null,
  caughtUp: false,
};

const SKIP_SHOWN_MS = 4_000;

export class PlaybackStore {
  private readonly listeners = new Set<() => void>();
  protected state: PlaybackSnapshot = IDLE;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly snapshot = (): PlaybackSnapshot => this.state;

  protected publish(change: Partial<PlaybackSnapshot>): void {
    this.state = { ...this.state, ...change };
    for (const listener of this.listeners) listener();
  }

  /** Say for a while that a stretch was skipped. */
  protected showSkip(startMs: number, endMs: number): void {
    const skipped = { startMs, endMs };
    this.publish({ skipped });
    setTimeout(() => {
      if (this.state.skipped === skipped) this.publish({ skipped: null });
    }, SKIP_SHOWN_MS);
  }

  protected silence(): void {
    this.listeners.clear();
  }
}
