import { afterEach, beforeEach, expect, test, vi } from "vitest";

import type { PlaybackEngine } from "../playback/engine";
import { IDLE, type PlaybackSnapshot } from "../playback/playbackState";
import { SyncGroup } from "./group";

const START = Date.parse("2026-11-23T10:00:00Z");
const NOW = START + 3_600_000;

/** A player whose seeks take `seekTakesMs`, and that plays exactly otherwise. */
class FakePlayer {
  state: PlaybackSnapshot = { ...IDLE };
  private atMs = 0;
  private sinceMs = 0;
  private busyUntilMs = 0;
  private factor = 1;
  seeks = 0;

  constructor(private readonly seekTakesMs: number) {}

  snapshot = () => this.state;
  private place() {
    const elapsedMs = Math.max(0, performance.now() - Math.max(this.sinceMs, this.busyUntilMs));
    return this.state.paused ? this.atMs : this.atMs + elapsedMs * this.state.rate * this.factor;
  }
  position = () => (this.state.active && performance.now() >= this.busyUntilMs ? this.place() : null);
  private anchor() {
    this.atMs = this.place();
    this.sinceMs = performance.now();
  }
  setPaused = (paused: boolean) => {
    this.anchor();
    this.state = { ...this.state, paused };
  };
  setRate = (rate: number) => {
    this.anchor();
    this.state = { ...this.state, rate };
  };
  trim = (factor: number) => {
    this.anchor();
    this.factor = factor;
  };
  goTo = (ms: number, paused: boolean) => {
    this.seeks += 1;
    this.state = { ...this.state, active: true, paused };
    this.atMs = ms;
    this.sinceMs = performance.now();
    this.busyUntilMs = performance.now() + this.seekTakesMs;
  };
  scrub = (ms: number) => {
    if (this.position() !== null || !this.state.active) this.goTo(ms, true);
  };
  step = (direction: 1 | -1) => this.goTo(this.atMs + direction * 40, true);
  get engine(): PlaybackEngine {
    return this as unknown as PlaybackEngine;
  }
}

/** Camera `b` has nothing from second 20 to 30. */
function answer(address: string): Response {
  const time = (seconds: number) => new Date(START + seconds * 1000).toISOString();
  const parts = address.includes("/b/") ? [[-7200, 20], [30, 3600]] : [[-7200, 3600]];
  const gaps = address.includes("/b/") ? [{ start: time(20), end: time(30), reason: "camera_lost" }] : [];
  const spans = parts.map(([start = 0, end = 0]) => ({ start: time(start), end: time(end) }));
  return Response.json({ spans, segments: [], gaps });
}

let group: SyncGroup;
let players: Map<string, FakePlayer>;
const offset = (id: string) => group.snapshot().cameras.get(id)?.offsetMs ?? Number.NaN;
const run = (ms: number) => vi.advanceTimersByTimeAsync(ms);

function begin(...seekTakesMs: number[]): void {
  group = new SyncGroup(START);
  players = new Map(["a", "b"].map((id, index) => [id, new FakePlayer(seekTakesMs[index] ?? 100)]));
  for (const [id, player] of players) group.add(id, player.engine);
}

beforeEach(() => {
  vi.useFakeTimers({ now: NOW });
  vi.stubGlobal("fetch", (address: string) => Promise.resolve(answer(address)));
});
afterEach(() => {
  group.destroy();
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

test("the clock stands until the slowest camera has its picture, then all play together", async () => {
  begin(100, 1_500);
  await run(1_000);
  expect(group.snapshot()).toMatchObject({ holding: true, masterMs: START });
  await run(1_000);
  expect(group.snapshot().holding).toBe(false);
  await run(5_000);
  expect(group.snapshot().masterMs).toBeGreaterThan(START + 5_000);
  for (const id of ["a", "b"]) expect(Math.abs(offset(id))).toBeLessThan(100);
});

test("a camera that does not come is not waited for longer than four seconds", async () => {
  begin(100, 60_000);
  await run(4_600);
  expect(group.snapshot()).toMatchObject({ holding: false, running: true });
  expect(group.snapshot().cameras.get("b")?.status).toBe("loading");
});

test("a camera without recording says why and when it comes back, waits, and joins in time", async () => {
  begin(100, 100);
  await run(1_000);
  group.seek(START + 22_000);
  await run(2_000);
  expect(group.snapshot().cameras.get("b")).toMatchObject({
    status: "missing",
    reason: "camera_lost",
    resumesMs: START + 30_000,
  });
  expect(group.snapshot().cameras.get("a")?.status).toBe("playing");
  await run(8_000);
  expect(group.snapshot().masterMs).toBeGreaterThan(START + 30_500);
  expect(Math.abs(offset("b"))).toBeLessThan(100);
});

test("speed and backwards act on all", async () => {
  begin(50, 50);
  await run(1_000);
  group.seek(START + 10_000);
  group.setRate(2);
  await run(2_000);
  for (const id of ["a", "b"]) expect(Math.abs(offset(id))).toBeLessThan(100);
  const beforeMs = group.snapshot().masterMs;
  expect(beforeMs).toBeGreaterThan(START + 12_000);
  group.setRate(-2);
  await run(2_000);
  expect(group.snapshot().masterMs).toBeLessThan(beforeMs - 2_500);
  for (const id of ["a", "b"]) {
    expect(group.snapshot().cameras.get(id)?.status).toBe("playing");
    expect(Math.abs(offset(id))).toBeLessThan(300);
  }
});

test("a step moves one camera by a picture, and the others follow it there", async () => {
  begin(50, 50);
  await run(1_000);
  group.setRunning(false);
  await run(500);
  const beforeMs = players.get("a")?.position() ?? 0;
  group.step("a", 1);
  await run(500);
  expect(group.snapshot().masterMs).toBe(beforeMs + 40);
  expect(players.get("b")?.position()).toBe(beforeMs + 40);
});

test("standing still, nothing is sought again and again", async () => {
  begin(50, 50);
  await run(1_000);
  group.setRunning(false);
  await run(1_000);
  const before = players.get("a")?.seeks;
  await run(10_000);
  expect(players.get("a")?.seeks).toBe(before);
});

test("it stops at the newest that is recorded, instead of running into the future", async () => {
  begin(50, 50);
  await run(1_000);
  group.seek(NOW - 12_000);
  group.setRate(4);
  await run(8_000);
  expect(group.snapshot()).toMatchObject({ running: false, atLive: true });
});
