/** Keeps one camera's player with the common clock, or says why it cannot be. */
import type { PlaybackEngine } from "../playback/engine";
import type { PlaybackProblem } from "../playback/playbackState";
import { type Place, RecordingsAround } from "./around";
import { decide, isPlayed, learnt, SEEK_BEYOND_MS } from "./decide";

export interface FollowerState {
  status: "playing" | "loading" | "missing" | "problem";
  /** Of the picture beside the common clock; null: there is no picture of now. */
  offsetMs: number | null;
  reason: string | null;
  resumesMs: number | null;
  problem: PlaybackProblem | null;
}

const FIRST_GUESS_MS = 150;
const STILL_MS = 20;
/** While each picture is sought, the one before is still there for so long. */
const SOUGHT_WITHIN_MS = 1_000;
/** What comes next is made ready while a gap lasts. */
const READY_BEFORE_MS = 10_000;

export class Follower {
  readonly around: RecordingsAround;
  private seekTakesMs = FIRST_GUESS_MS;
  private soughtAtMs = Number.NEGATIVE_INFINITY;
  private seeking = false;
  private scrubbedMs: number | null = null;
  private preparedMs: number | null = null;
  private seen: { offsetMs: number; atMs: number } | null = null;
  state: FollowerState = { status: "loading", offsetMs: null, reason: null, resumesMs: null, problem: null };

  constructor(
    cameraId: string,
    readonly engine: PlaybackEngine,
  ) {
    this.around = new RecordingsAround(cameraId);
  }

  /** Nothing more is awaited of this one. */
  get settled(): boolean {
    return this.state.status !== "loading";
  }

  /** A new place, or another way of playing. */
  reset(): void {
    this.scrubbedMs = null;
    this.preparedMs = null;
    this.soughtAtMs = Number.NEGATIVE_INFINITY;
    this.seeking = false;
    this.seen = null;
  }

  /** masterMs: the common clock; rate: its speed, 0 while it stands. nowMs: a steady clock. */
  follow(masterMs: number, rate: number, chosenRate: number, nowMs: number): void {
    const place = this.around.place(masterMs);
    const { problem } = this.engine.snapshot();
    if (place.kind === "missing") return this.miss(place, masterMs, rate);
    const positionMs = this.engine.position();
    if (this.seeking && positionMs !== null) {
      this.seeking = false;
      this.seekTakesMs = learnt(this.seekTakesMs, nowMs - this.soughtAtMs);
    }
    const offsetMs = positionMs === null ? null : positionMs - masterMs;
    if (isPlayed(chosenRate) && rate !== 0) this.play(masterMs, rate, offsetMs, nowMs);
    else this.still(masterMs, offsetMs);
    if (offsetMs !== null) this.seen = { offsetMs, atMs: nowMs };
    const recent = this.seen !== null && nowMs - this.seen.atMs < SOUGHT_WITHIN_MS ? this.seen.offsetMs : null;
    const broken = problem !== null && problem !== "empty" ? problem : null;
    this.tell({
      status: broken ? "problem" : recent === null ? "loading" : "playing",
      offsetMs: recent,
      problem: broken,
    });
  }

  private play(masterMs: number, rate: number, offsetMs: number | null, nowMs: number): void {
    const { engine } = this;
    const { active, paused, problem } = engine.snapshot();
    if (offsetMs === null) {
      if (!active || (problem !== null && nowMs - this.soughtAtMs > 5_000)) this.seek(masterMs, nowMs, false);
      return;
    }
    const sinceSeekMs = nowMs - this.soughtAtMs;
    const action = decide({ offsetMs, rate, sinceSeekMs, seekTakesMs: this.seekTakesMs });
    if (action.kind === "seek") return this.seek(masterMs + action.aheadMs, nowMs, false);
    if (action.kind === "wait") {
      if (!paused) engine.setPaused(true);
      return;
    }
    if (paused) engine.setPaused(false);
    engine.trim(action.trim);
  }

  /** Each picture is sought: standing, backwards, and very fast. */
  private still(masterMs: number, offsetMs: number | null): void {
    const { engine } = this;
    if (!engine.snapshot().paused) engine.setPaused(true);
    if (this.scrubbedMs === masterMs && engine.snapshot().active) return;
    if (offsetMs !== null && Math.abs(offsetMs) < STILL_MS) return;
    if (offsetMs === null && engine.snapshot().active) return;
    this.scrubbedMs = masterMs;
    engine.scrub(masterMs);
  }

  private seek(ms: number, nowMs: number, paused: boolean): void {
    this.soughtAtMs = nowMs;
    this.seeking = true;
    this.engine.goTo(ms, paused);
  }

  private miss(place: Extract<Place, { kind: "missing" }>, masterMs: number, rate: number): void {
    const { engine } = this;
    const { active, paused } = engine.snapshot();
    if (active && !paused) engine.setPaused(true);
    const { resumesMs } = place;
    const soon = resumesMs !== null && rate > 0 && resumesMs - masterMs < READY_BEFORE_MS * rate;
    if (soon && this.preparedMs !== resumesMs) {
      this.preparedMs = resumesMs;
      const positionMs = engine.position();
      if (positionMs === null || Math.abs(positionMs - resumesMs) > SEEK_BEYOND_MS) engine.goTo(resumesMs, true);
    }
    this.scrubbedMs = null;
    this.tell({ status: "missing", reason: place.reason, resumesMs });
  }

  private tell(change: Partial<FollowerState>): void {
    this.state = { status: "loading", offsetMs: null, reason: null, resumesMs: null, problem: null, ...change };
  }
}
