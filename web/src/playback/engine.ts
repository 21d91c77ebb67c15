/**
 * Plays a camera's recordings from any time on, window after window, without a seam, in both directions.
 *
 * The next window loads in a second video element before the current one ends, and a window that is
 * jumped to shows when its first picture is there; until then the old picture stays.
 *
 * Belongs here: order of windows, play state. Does not: one playlist (deck.ts), playing by seeking
 * (seekDrive.ts), controls (React).
 */
import type { Span } from "../api/recordings";
import { createDeck, type Deck, type DeckLook } from "./deck";
import { IDLE, PlaybackStore } from "./playbackState";
import { hasSound, MAY_FALL_BEHIND } from "./rates";
import { type Edge, SeekDrive } from "./seekDrive";
import { fallsBehind, SpeedMeter, worthSaying } from "./speed";
import { gapBetween, NEAR_LIVE_MS, WINDOW_MS } from "./window";
import { windowBefore, windowFrom } from "./windows";

const TICK_MS = 100;
const PREPARE_BEFORE_END_S = 20;
/** A gap longer than this is worth a word. */
const SKIP_MS = 1_500;
/** Of a picture, to be surely in the one before. */
const INTO_PICTURE_MS = 10;

export class PlaybackEngine extends PlaybackStore {
  private current: Deck | null = null;
  private incoming: Deck | null = null;
  private next: Deck | null = null;
  private preparing = false;
  /** Counts jumps: what an older one finds out later is of no use. */
  private jump = 0;
  private lastMs: number | null = null;
  private readonly timer: ReturnType<typeof setInterval>;
  private readonly seeks = new SeekDrive();
  private readonly meter = new SpeedMeter();
  private muted = true;

  constructor(
    private readonly cameraId: string,
    private readonly host: HTMLElement,
    private readonly options: DeckLook,
  ) {
    super();
    this.timer = setInterval(() => this.tick(), TICK_MS);
  }

  /** Show what was at `ms`, or what comes first after it. */
  goTo(ms: number, paused: boolean): void {
    this.publish({ active: true, paused, wallMs: ms, problem: null, skipped: null, caughtUp: false });
    this.begin();
    if (this.current?.ready && this.incoming === null && this.current.seek(ms)) {
      this.dropNext();
      return this.drive(this.current);
    }
    this.dropNext();
    void this.load(ms, "after");
  }

  /** A new place: what was measured and prepared for the old one is over. */
  private begin(): void {
    this.jump += 1;
    this.lastMs = null;
    this.meter.reset();
    this.seeks.stop();
  }

  /** after: the window that plays `ms`; before: the one that ends there, shown at its end. */
  private async load(ms: number, edge: Edge): Promise<void> {
    const { jump } = this;
    this.publish({ loading: true });
    this.current?.video.pause();
    try {
      const window = await (edge === "after" ? windowFrom : windowBefore)(this.cameraId, ms);
      if (jump !== this.jump) return;
      // Before the first picture, that one stays.
      if (!window) return this.publish({ loading: false, ...(edge === "after" ? { problem: "empty" } : { paused: true }) });
      const [fromMs, toMs] = edge === "after" ? [ms, window.startMs] : [window.endMs, ms];
      if (toMs - fromMs > SKIP_MS) this.showSkip(fromMs, toMs);
      this.dropIncoming();
      this.incoming = this.deck(window, edge === "after" ? window.startMs : window.endMs - INTO_PICTURE_MS);
      if (!this.current) this.show(this.incoming);
    } catch {
      if (jump === this.jump) this.publish({ loading: false, problem: "offline" });
    }
  }

  private deck(window: Span, startMs = window.startMs): Deck {
    const deck: Deck = createDeck(this.cameraId, window, startMs, this.host, this.options, {
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
    deck.video.muted = this.muted;
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
    this.drive(deck);
  }

  /** Make the deck do what the state says. */
  private drive(deck: Deck): void {
    const { paused, rate, keyPictures } = this.state;
    this.seeks.stop();
    this.meter.reset();
    deck.bufferFor(rate);
    deck.video.muted = this.muted || !hasSound(rate);
    if (paused) return deck.video.pause();
    if (rate > 0 && !keyPictures) return void this.start(deck);
    deck.video.pause();
    const onEdge = (edge: Edge) => (edge === "after" ? void this.goOn() : this.goBack());
    this.seeks.run({ deck, rate, keyPictures, onEdge });
  }

  private async start(deck: Deck): Promise<void> {
    deck.setRate(this.state.rate);
    if (!(await deck.play())) this.publish({ paused: true });
    this.refresh();
  }

  /** The end of the window: the next one, prepared or to be found, or the present. */
  private async goOn(): Promise<void> {
    if (this.next) {
      const { next: deck, current } = this;
      const [fromMs, toMs] = [current?.endMs() ?? deck.window.startMs, deck.window.startMs];
      if (toMs - fromMs > SKIP_MS) this.showSkip(fromMs, toMs);
      this.next = null;
      return this.show(deck);
    }
    const endMs = this.current?.endMs() ?? this.current?.window.endMs ?? Date.now();
    if (Date.now() - endMs < NEAR_LIVE_MS) return this.finish();
    this.begin();
    await this.load(endMs, "after");
    if (this.state.problem === "empty") this.finish();
  }

  /** The beginning of the window, going back. */
  private goBack(): void {
    const firstMs = this.current?.firstMs() ?? this.current?.window.startMs ?? null;
    if (firstMs === null) return;
    this.dropNext();
    this.begin();
    void this.load(firstMs, "before");
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
      const window = await windowFrom(this.cameraId, endMs);
      if (window && jump === this.jump && current === this.current) this.next = this.deck(window);
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
    const { paused, rate } = this.state;
    this.measure(deck);
    const wallMs = deck.wallMs();
    if (wallMs === null || deck.video.seeking) return;
    const gap = this.lastMs === null ? null : gapBetween(deck.pieces(), this.lastMs, wallMs, SKIP_MS);
    this.lastMs = wallMs;
    if (gap) this.showSkip(gap.startMs, gap.endMs);
    if (wallMs !== this.state.wallMs) this.publish({ wallMs });
    if (!paused && rate > 0 && deck.remainingS() < PREPARE_BEFORE_END_S * Math.max(1, rate)) void this.prepare();
  }

  /** Say the real speed, and fall back to key pictures where every picture is too much. */
  private measure(deck: Deck): void {
    const { paused, rate, keyPictures } = this.state;
    const stalls = rate > 0 && !keyPictures && deck.video.readyState < 3;
    if (paused || stalls || document.hidden) this.meter.reset();
    else this.meter.push({ atMs: performance.now(), mediaS: deck.video.currentTime, shown: deck.shownPictures() });
    const actual = paused ? null : worthSaying(this.meter.speed(), rate);
    if (actual !== this.state.actual) this.publish({ actual });
    if (!paused && !keyPictures && rate >= MAY_FALL_BEHIND && fallsBehind(this.meter, rate)) {
      this.publish({ keyPictures: true });
      this.drive(deck);
    }
  }

  private refresh(): void {
    const deck = this.current;
    if (!deck || !this.state.active) return;
    const bySeeking = !this.state.paused && (this.state.rate < 0 || this.state.keyPictures);
    const loading = this.incoming !== null || (!bySeeking && (deck.video.seeking || deck.video.readyState < 3));
    if (loading !== this.state.loading) this.publish({ loading });
  }

  setPaused(paused: boolean): void {
    const { caughtUp } = this.state;
    this.publish({ paused, caughtUp: false });
    // A video that has ended would play from its beginning.
    if (!paused && caughtUp && this.state.rate > 0) void this.goOn();
    else if (this.current) this.drive(this.current);
  }

  setRate(rate: number): void {
    this.publish({ rate, keyPictures: false, actual: null });
    if (this.current) this.drive(this.current);
  }

  setMuted(muted: boolean): void {
    this.muted = muted;
    if (this.current) this.current.video.muted = muted || !hasSound(this.state.rate);
  }

  /** Pause, and show the picture after (1) or before (-1) the one that is shown. */
  step(direction: 1 | -1): void {
    if (!this.current?.ready || this.incoming) return;
    if (!this.state.paused) this.setPaused(true);
    this.publish({ caughtUp: false });
    this.lastMs = null;
    const { kind } = this.current.step(direction);
    if (kind === "after") void this.goOn();
    else if (kind === "before") this.goBack();
  }

  /** The wall clock of the picture that is shown; null while another one is on its way. */
  position(): number | null {
    const deck = this.current;
    return deck?.ready && !this.incoming && !deck.video.seeking ? deck.wallMs() : null;
  }

  /** Show the still picture of `ms`, wherever it is; one that is on its way comes first. */
  scrub(ms: number): void {
    const deck = this.current;
    if (this.incoming || (deck && (!deck.ready || deck.video.seeking))) return;
    this.publish({ active: true, paused: true, wallMs: ms, problem: null, caughtUp: false });
    this.lastMs = null;
    this.seeks.stop();
    deck?.video.pause();
    if (deck?.seek(ms)) return;
    this.begin();
    this.dropNext();
    const firstMs = deck?.firstMs() ?? null;
    // Going back, what comes before is what will be asked for next.
    void this.load(ms, firstMs !== null && ms < firstMs && firstMs - ms < WINDOW_MS ? "before" : "after");
  }

  /** Play a little faster or slower than the speed that was chosen, to stay with others. */
  trim(factor: number): void {
    const video = this.current?.video;
    const rate = this.state.rate * factor;
    if (video && this.state.rate > 0 && Math.abs(video.playbackRate - rate) > 0.004) video.playbackRate = rate;
  }

  /** Back to the present: everything is let go. */
  stop(): void {
    this.begin();
    for (const deck of [this.current, this.incoming, this.next]) deck?.destroy();
    this.current = this.incoming = this.next = null;
    this.publish({ ...IDLE, rate: this.state.rate > 0 ? this.state.rate : 1 });
  }

  destroy(): void {
    this.stop();
    clearInterval(this.timer);
    this.silence();
  }
}
