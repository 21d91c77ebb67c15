/**
 * Several cameras' recordings with one clock: play, seek, speed, step and backwards act on all.
 *
 * After a jump the clock stands until every camera has its picture, or has none; then all start together.
 *
 * Belongs here: the clock and its followers. Does not: one camera (follower.ts), tiles (React).
 */
import type { PlaybackEngine } from "../playback/engine";
import { MasterClock } from "./clock";
import { isPlayed } from "./decide";
import { Follower, type FollowerState } from "./follower";

export interface GroupSnapshot {
  masterMs: number;
  running: boolean;
  rate: number;
  /** The clock stands until the cameras are there. */
  holding: boolean;
  /** There is nothing newer. */
  atLive: boolean;
  cameras: ReadonlyMap<string, FollowerState>;
}

const TICK_MS = 40;
const PUBLISH_EVERY = 4;
const HOLD_AT_MOST_MS = 4_000;
const STEP_AT_MOST_MS = 4_000;
/** The newest that is surely on the disk. */
const NEWEST_MS = 5_000;

export class SyncGroup {
  private readonly clock: MasterClock;
  private readonly followers = new Map<string, Follower>();
  private readonly timer: ReturnType<typeof setInterval>;
  private readonly listeners = new Set<() => void>();
  private holdSinceMs: number | null;
  /** It leads, for once, until its picture is up. */
  private stepping: { follower: Follower; untilMs: number } | null = null;
  private running = true;
  private atLive = false;
  private ticks = 0;
  private state: GroupSnapshot;

  constructor(
    startMs: number,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.clock = new MasterClock(startMs, now);
    this.holdSinceMs = now();
    this.state = { masterMs: startMs, running: true, rate: 1, holding: true, atLive: false, cameras: new Map() };
    this.timer = setInterval(() => this.tick(), TICK_MS);
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly snapshot = (): GroupSnapshot => this.state;

  add(cameraId: string, engine: PlaybackEngine): void {
    engine.setRate(isPlayed(this.clock.rate) ? this.clock.rate : 1);
    this.followers.set(cameraId, new Follower(cameraId, engine));
    this.hold();
  }

  remove(cameraId: string): void {
    this.followers.delete(cameraId);
  }

  seek(ms: number): void {
    this.clock.set({ ms: Math.min(ms, Date.now() - NEWEST_MS) });
    this.hold();
  }

  setRunning(running: boolean): void {
    this.running = running;
    if (running) this.hold();
    else this.clock.set({ running: false });
    this.publish();
  }

  setRate(rate: number): void {
    this.clock.set({ rate });
    for (const { engine } of this.followers.values()) engine.setRate(isPlayed(rate) ? rate : 1);
    this.hold();
  }

  /** One picture of `cameraId` further or back; the others show what was then. */
  step(cameraId: string, direction: 1 | -1): void {
    const leader = this.followers.get(cameraId);
    if (!leader) return;
    this.setRunning(false);
    leader.engine.step(direction);
    this.stepping = { follower: leader, untilMs: this.now() + STEP_AT_MOST_MS };
  }

  destroy(): void {
    clearInterval(this.timer);
    this.listeners.clear();
    this.followers.clear();
  }

  /** Stand until all are there. */
  private hold(): void {
    this.stepping = null;
    this.atLive = false;
    this.clock.set({ running: false });
    this.holdSinceMs = this.now();
    for (const follower of this.followers.values()) follower.reset();
    this.publish();
  }

  private tick(): void {
    const nowMs = this.now();
    this.adopt(nowMs);
    const masterMs = this.clock.read();
    const rate = this.clock.isRunning ? this.clock.rate : 0;
    for (const follower of this.followers.values()) {
      if (follower !== this.stepping?.follower) follower.follow(masterMs, rate, this.clock.rate, nowMs);
    }
    this.release(nowMs);
    if (this.clock.isRunning) this.skipWhatNobodyHas(masterMs);
    if (this.clock.isRunning && this.clock.rate > 1 && masterMs >= Date.now() - NEWEST_MS) {
      this.atLive = true;
      this.setRunning(false);
    }
    this.ticks += 1;
    if (this.ticks % PUBLISH_EVERY === 0) this.publish();
  }

  /** The clock goes to the picture that a step led to. */
  private adopt(nowMs: number): void {
    if (!this.stepping) return;
    const ms = this.stepping.follower.engine.position();
    if (ms !== null) this.clock.set({ ms });
    if (ms !== null || nowMs > this.stepping.untilMs) this.stepping = null;
  }

  private release(nowMs: number): void {
    if (this.holdSinceMs === null) return;
    const all = [...this.followers.values()];
    const heldMs = nowMs - this.holdSinceMs;
    if (heldMs < 2 * TICK_MS || (heldMs < HOLD_AT_MOST_MS && !all.every((follower) => follower.settled))) return;
    this.holdSinceMs = null;
    if (this.running) this.clock.set({ running: true });
  }

  /** Where no camera has anything, there is nothing to wait for. */
  private skipWhatNobodyHas(masterMs: number): void {
    const places = [...this.followers.values()].map((follower) => follower.around.place(masterMs));
    if (places.length === 0) return;
    const missing = places.filter((place) => place.kind === "missing");
    if (missing.length < places.length) return;
    const back = this.clock.rate < 0;
    const ends = missing.map((place) => (back ? place.endedMs : place.resumesMs)).filter((ms) => ms !== null);
    if (ends.length > 0) this.seek(back ? Math.max(...ends) - 1 : Math.min(...ends));
  }

  private publish(): void {
    this.state = {
      masterMs: this.clock.read(),
      running: this.running,
      rate: this.clock.rate,
      holding: this.holdSinceMs !== null,
      atLive: this.atLive,
      cameras: new Map([...this.followers].map(([id, follower]) => [id, follower.state])),
    };
    for (const listener of this.listeners) listener();
  }
}
