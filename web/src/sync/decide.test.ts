import { describe, expect, test } from "vitest";

import { MasterClock } from "./clock";
import { type Action, decide, isPlayed, learnt } from "./decide";
import { placeIn } from "./around";
import { chosenIn } from "./chosen";

/** A player as browsers have them: seeks take a while, a start is late, its clock drifts. */
class Player {
  atMs: number;
  private seekDoneMs = Number.NEGATIVE_INFINITY;
  private trim = 1;
  private waiting = false;

  constructor(
    startMs: number,
    private readonly seekTakesMs: number,
    private readonly drift: number,
  ) {
    this.atMs = startMs;
  }

  take(action: Action, masterMs: number, nowMs: number): void {
    this.waiting = action.kind === "wait";
    if (action.kind === "play") this.trim = action.trim;
    if (action.kind !== "seek") return;
    this.atMs = masterMs + action.aheadMs;
    this.seekDoneMs = nowMs + this.seekTakesMs;
    this.trim = 1;
  }

  advance(nowMs: number, elapsedMs: number, rate: number): void {
    if (nowMs >= this.seekDoneMs && !this.waiting) this.atMs += elapsedMs * rate * this.trim * this.drift;
  }
}

/** The distance from the clock, each 40 ms, for `seconds`. */
function simulate(startOffsetMs: number, rate: number, seconds: number, drift = 1, seekTakesMs = 250): number[] {
  const offsets: number[] = [];
  const player = new Player(startOffsetMs, seekTakesMs, drift);
  let soughtAtMs = -10_000;
  let guessMs = 150;
  for (let nowMs = 0; nowMs < seconds * 1000; nowMs += 40) {
    const masterMs = nowMs * rate;
    const offsetMs = player.atMs - masterMs;
    const action = decide({ offsetMs, rate, sinceSeekMs: nowMs - soughtAtMs, seekTakesMs: guessMs });
    if (action.kind === "seek") {
      soughtAtMs = nowMs;
      guessMs = learnt(guessMs, seekTakesMs);
    }
    player.take(action, masterMs, nowMs);
    player.advance(nowMs, 40, rate);
    offsets.push(offsetMs);
  }
  return offsets;
}
const last = (offsets: number[], seconds: number) => offsets.slice(-seconds * 25);

describe("a player follows the common clock", () => {
  test.each([-5_000, -250, -80, 0, 80, 250, 5_000])("from %d ms away, within 100 ms after five seconds and ever after", (offset) => {
    expect(Math.max(...last(simulate(offset, 1, 15), 10).map(Math.abs))).toBeLessThan(100);
  });

  test.each([0.25, 0.5, 2, 4])("at %d times the speed", (rate) => {
    expect(Math.max(...last(simulate(-200, rate, 15), 10).map(Math.abs))).toBeLessThan(100);
  });

  test("also when its own clock runs two per cent fast or slow", () => {
    for (const drift of [0.98, 1.02]) {
      expect(Math.max(...last(simulate(0, 1, 20, drift), 18).map(Math.abs))).toBeLessThan(100);
    }
  });

  test("and a slow seek is not answered with another one at once", () => {
    expect(Math.max(...last(simulate(-5_000, 1, 20, 1, 900), 10).map(Math.abs))).toBeLessThan(100);
  });
});

test("far ahead right after a seek it waits, far behind it hurries", () => {
  const near = { rate: 1, sinceSeekMs: 100, seekTakesMs: 150 };
  expect(decide({ ...near, offsetMs: 900 })).toEqual({ kind: "wait" });
  expect(decide({ ...near, offsetMs: -900 })).toEqual({ kind: "play", trim: 1.12 });
});

test("no correction is larger than what nobody sees", () => {
  for (let offsetMs = -300; offsetMs <= 300; offsetMs += 5) {
    const action = decide({ offsetMs, rate: 1, sinceSeekMs: 9_999, seekTakesMs: 150 });
    expect(action.kind === "play" && Math.abs(action.trim - 1) < 0.1201).toBe(true);
  }
});

test("backwards and very fast, pictures are sought instead of played", () => {
  expect([0.25, 1, 4, 8, 16, -1].map(isPlayed)).toEqual([true, true, true, false, false, false]);
});

test("what seeks take is learnt, and one that hung counts for a second", () => {
  let takes = 150;
  for (let n = 0; n < 10; n += 1) takes = learnt(takes, 60_000);
  expect(takes).toBeGreaterThan(900);
  expect(takes).toBeLessThanOrEqual(1_000);
});

test("the common clock runs at its speed, stands, and carries on where it was", () => {
  let nowMs = 0;
  const clock = new MasterClock(1_000, () => nowMs);
  nowMs = 500;
  expect(clock.read()).toBe(1_000);
  clock.set({ running: true });
  nowMs = 1_500;
  expect(clock.read()).toBe(2_000);
  clock.set({ rate: -4 });
  nowMs = 2_000;
  expect(clock.read()).toBe(0);
  clock.set({ running: false });
  nowMs = 9_000;
  expect(clock.read()).toBe(0);
});

test("where nothing is recorded, the reason and the ends of the gap are known", () => {
  const recordings = {
    spans: [{ startMs: 0, endMs: 10_000 }, { startMs: 20_000, endMs: 30_000 }],
    gaps: [{ startMs: 10_000, endMs: 20_000, reason: "camera_lost", open: false }],
    segments: [],
  };
  expect(placeIn(recordings, 5_000)).toEqual({ kind: "recorded" });
  expect(placeIn(recordings, 15_000)).toEqual({ kind: "missing", reason: "camera_lost", resumesMs: 20_000, endedMs: 10_000 });
  expect(placeIn(recordings, 40_000)).toEqual({ kind: "missing", reason: null, resumesMs: null, endedMs: 30_000 });
});

test("the rounding of a file's border is no gap", () => {
  const recordings = { spans: [{ startMs: 0, endMs: 10_000 }, { startMs: 10_400, endMs: 20_000 }], gaps: [], segments: [] };
  expect(placeIn(recordings, 10_200)).toEqual({ kind: "recorded" });
});

test("an address names cameras that there are, each once and at most sixteen", () => {
  const known = Array.from({ length: 30 }, (_, n) => `c${n}`);
  expect(chosenIn("c3,c1,nobody,c3", known)).toEqual(["c3", "c1"]);
  expect(chosenIn(null, known)).toEqual([]);
  expect(chosenIn(known.join(), known)).toHaveLength(16);
});
