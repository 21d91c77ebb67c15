/**
 * Plays a camera's recordings from any time on, window after window, without a seam.
 *
 * The next window loads in a second video element before the current one ends, and a window that is
 * jumped to shows when its first picture is there; until then the old picture stays.
 *
 * Belongs here: order of windows, play state. Does not: one playlist (deck.ts), controls (React).
 */
import { url } from "../api/client";
import { fetchRecordings } from "../api/recordings";
import { Deck, type DeckProblem } from "./deck";
import { NEAR_LIVE_MS, planWindow, WINDOW_MS } from "./window";

export type PlaybackProblem = DeckProblem | "empty" | "offline";

export interface PlaybackSnapshot {
  /** False: nothing is played back; the page shows the present. */
  active: boolean;
  /** The time that is shown, or asked for while it loads. */
  wallMs: number | null;
  paused: boolean;
  /** No picture yet, or no data to go on. */
  loading: boolean;
  rate: number;
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
  problem: null,
  skipped: null,
  caughtUp: false,
};

const TICK_MS = 100;
const PREPARE_BEFORE_END_S = 20;
const SKIP_SHOWN_MS = 4_000;
/** A jump of the picture's time beyond this is a gap, not a frame. */
const SKIP_MS = 1_500;

export class PlaybackEngine {
  private current: Deck | null = null;
  private incoming: Deck | null = null;
  private next: Deck | null = null;
  private preparing = false;
  /** Counts jumps: what an older one finds out later is of no use. */
  private jump = 0;
  private lastMs: number | null = null;
  private readonly listeners = new Set<() => void>();
  private readonly timer: ReturnType<typeof setInterval>;
  private state: PlaybackSnapshot = IDLE;
  private muted = true;

  constructor(
    private readonly cameraId: string,
    private readonly host: HTMLElement,
    private readonly options: { className: string; label: () => string },
  ) {
    this.timer = setInterval(() => this.tick(), TICK_MS);
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly snapshot = (): PlaybackSnapshot => this.state;

  /** Show what was at `ms`, or what comes first after it. */
  goTo(ms: number, paused: boolean): void {
    this.publish({ active: true, paused, wallMs: ms, problem: null, skipped: null, caughtUp: false });
    this.jump += 1;
    this.lastMs = null;
    if (this.current?.ready && this.incoming === null && this.current.seek(ms)) {
      this.dropNext();
      void this.start(this.current);
      return;
    }
    this.dropNext();
    void this.load(ms, this.jump);
  }

  private async load(ms: number, jump: number): Promise<void> {
    this.publish({ loading: true });
    this.current?.video.pause();
    try {
      const window = await this.locate(ms);
      if (jump !== this.jump) return;
      if (!window) return this.publish({ loading: false, problem: "empty" });
      if (window.startMs - ms > SKIP_MS) this.showSkip(ms, window.startMs);
      this.dropIncoming();
      this.incoming = this.deck(window.startMs, window.endMs);
      if (!this.current) this.show(this.incoming);
    } catch {
      if (jump === this.jump) this.publish({ loading: false, problem: "offline" });
    }
  }

  private async locate(ms: number) {
    const nowMs = Date.now();
    const near = await fetchRecordings(this.cameraId, ms, Math.min(nowMs, ms + WINDOW_MS));
    const window = planWindow(near, ms, nowMs);
    if (window || ms + WINDOW_MS >= nowMs) return window;
    return planWindow(await fetchRecordings(this.cameraId, ms + WINDOW_MS, nowMs), ms, nowMs);
  }

  private deck(startMs: number, endMs: number): Deck {
    const deck: Deck = new Deck({ startMs, endMs }, url.playlist(this.cameraId, startMs, endMs), {
      onReady: () => {
        if (deck === this.incoming) this.show(deck);
      },
      onChange: () => this.refresh(),
      onEnded: () => {
        if (deck === this.current) void this.goOn();
      },
      onProblem: (problem) => {
        if (deck === this.next) this.dropNext();
        else if (deck === this.current || deck === this.incoming) this.publish({ problem, loading: false });
      },
    });
    deck.video.className = this.options.className;
    deck.video.muted = this.muted;
    deck.video.setAttribute("aria-label", this.options.label());
    deck.video.hidden = true;
    this.host.append(deck.video);
    return deck;
  }

  /** Make `deck` the one that is seen, and heard. */
  private show(deck: Deck): void {
    if (this.current !== deck) this.current?.destroy();
    this.current = deck;
    if (deck.ready) this.incoming = null;
    deck.video.hidden = false;
    deck.video.dataset["testid"] = "playback-video";
    this.refresh();
    void this.start(deck);
  }

  private async start(deck: Deck): Promise<void> {
    deck.video.playbackRate = this.state.rate;
    deck.video.muted = this.muted;
    if (this.state.paused) return;
    try {
      await deck.video.play();
    } catch (error) {
      // Refused without a gesture: a page opened by a link begins without sound.
      if (!(error instanceof DOMException) || error.name !== "NotAllowedError") return;
      deck.video.muted = true;
      await deck.video.play().catch(() => this.publish({ paused: true }));
    }
    this.refresh();
  }

  /** The end of the window: the next one, prepared or to be found, or the present. */
  private async goOn(): Promise<void> {
    if (this.next) {
      const deck = this.next;
      this.next = null;
      this.show(deck);
      return;
    }
    const endMs = this.current?.endMs() ?? this.current?.window.endMs ?? Date.now();
    if (Date.now() - endMs < NEAR_LIVE_MS) return this.finish();
    this.jump += 1;
    await this.load(endMs, this.jump);
    if (this.state.problem === "empty") this.finish();
  }

  private finish(): void {
    this.publish({ caughtUp: true, paused: true, problem: null });
  }

  private async prepare(): Promise<void> {
    const endMs = this.current?.endMs() ?? null;
    if (this.preparing || this.next || endMs === null || Date.now() - endMs < NEAR_LIVE_MS) return;
    const { jump, current } = this;
    this.preparing = true;
    try {
      const window = await this.locate(endMs);
      if (window && jump === this.jump && current === this.current) {
        this.next = this.deck(window.startMs, window.endMs);
      }
    } catch {
      // Tried again by the next tick, and at the latest when the window ends.
    } finally {
      this.preparing = false;
    }
  }

  private dropIncoming(): void {
    this.incoming?.destroy();
    // The first one is shown at once, before it has a picture.
    if (this.current === this.incoming) this.current = null;
    this.incoming = null;
  }

  private dropNext(): void {
    this.next?.destroy();
    this.next = null;
  }

  private tick(): void {
    const deck = this.current;
    if (!this.state.active || !deck?.ready || this.incoming) return;
    const wallMs = deck.wallMs();
    if (wallMs === null || deck.video.seeking) return;
    const last = this.lastMs;
    this.lastMs = wallMs;
    if (last !== null && wallMs - last > SKIP_MS * Math.max(1, this.state.rate)) this.showSkip(last, wallMs);
    if (wallMs !== this.state.wallMs) this.publish({ wallMs });
    if (deck.remainingS() < PREPARE_BEFORE_END_S * Math.max(1, this.state.rate)) void this.prepare();
  }

  private showSkip(startMs: number, endMs: number): void {
    const skipped = { startMs, endMs };
    this.publish({ skipped });
    setTimeout(() => {
      if (this.state.skipped === skipped) this.publish({ skipped: null });
    }, SKIP_SHOWN_MS);
  }

  private refresh(): void {
    const deck = this.current;
    if (!deck || !this.state.active) return;
    const loading = this.incoming !== null || deck.video.seeking || deck.video.readyState < 3;
    if (loading !== this.state.loading) this.publish({ loading });
  }

  setPaused(paused: boolean): void {
    const { caughtUp } = this.state;
    this.publish({ paused, caughtUp: false });
    // A video that has ended would play from its beginning.
    if (!paused && caughtUp) void this.goOn();
    else if (paused) this.current?.video.pause();
    else if (this.current) void this.start(this.current);
  }

  setRate(rate: number): void {
    this.publish({ rate });
    if (this.current) this.current.video.playbackRate = rate;
  }

  setMuted(muted: boolean): void {
    this.muted = muted;
    if (this.current) this.current.video.muted = muted;
  }

  /** A paused picture further or back by about one frame. */
  nudge(seconds: number): void {
    if (!this.current) return;
    this.setPaused(true);
    this.lastMs = null;
    this.current.video.currentTime += seconds;
  }

  /** Back to the present: everything is let go. */
  stop(): void {
    this.jump += 1;
    for (const deck of [this.current, this.incoming, this.next]) deck?.destroy();
    this.current = this.incoming = this.next = null;
    this.lastMs = null;
    this.publish(IDLE);
  }

  destroy(): void {
    this.stop();
    clearInterval(this.timer);
    this.listeners.clear();
  }

  private publish(change: Partial<PlaybackSnapshot>): void {
    this.state = { ...this.state, ...change };
    for (const listener of this.listeners) listener();
  }
}
