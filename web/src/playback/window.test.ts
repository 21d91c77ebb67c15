import { describe, expect, test } from "vitest";

import { gapBetween, mediaAt, type Piece, planWindow, planWindowBefore, recordedBefore, wallAt, wallEnd, WINDOW_MS } from "./window";

const NOW = 10 * WINDOW_MS;
const recordings = (...spans: [number, number][]) => ({
  spans: spans.map(([startMs, endMs]) => ({ startMs, endMs })),
  gaps: [],
  segments: [],
});

describe("the window to play", () => {
  test("begins where it is asked to, and is an hour long", () => {
    expect(planWindow(recordings([0, NOW]), 1000, NOW)).toEqual({ startMs: 1000, endMs: 1000 + WINDOW_MS });
  });

  test("begins where recording resumes, asked for a time in a gap", () => {
    expect(planWindow(recordings([0, 500], [2000, 9000]), 1000, NOW)?.startMs).toBe(2000);
  });

  test("ends at the present", () => {
    expect(planWindow(recordings([0, NOW]), NOW - 5000, NOW)).toEqual({ startMs: NOW - 5000, endMs: NOW });
  });

  test("is none when nothing comes any more", () => {
    expect(planWindow(recordings([0, 500]), 500, NOW)).toBeNull();
    expect(planWindow(recordings(), 0, NOW)).toBeNull();
  });
});

describe("the window to play backwards", () => {
  test("ends where it is asked to, and is an hour long", () => {
    expect(planWindowBefore(recordings([0, NOW]), NOW - 1000)).toEqual({ startMs: NOW - 1000 - WINDOW_MS, endMs: NOW - 1000 });
  });

  test("ends where recording ended, asked for a time in a gap", () => {
    expect(planWindowBefore(recordings([0, NOW - 9000], [NOW - 500, NOW]), NOW - 1000)?.endMs).toBe(NOW - 9000);
  });

  test("is none when nothing comes before", () => {
    expect(planWindowBefore(recordings([5000, 9000]), 5000)).toBeNull();
  });
});

describe("player time and wall clock", () => {
  // Ten seconds, a gap of a minute, ten more: the player knows nothing of the minute.
  const pieces: Piece[] = [
    { mediaStartS: 0, durationS: 10, wallStartMs: 100_000 },
    { mediaStartS: 10, durationS: 10, wallStartMs: 170_000 },
  ];

  test("map onto each other on both sides of a gap", () => {
    expect(wallAt(pieces, 4)).toBe(104_000);
    expect(wallAt(pieces, 12)).toBe(172_000);
    expect(mediaAt(pieces, 104_000)).toBe(4);
    expect(mediaAt(pieces, 172_000)).toBe(12);
  });

  test("a time in the gap is where recording resumes", () => {
    expect(mediaAt(pieces, 140_000)).toBe(10);
  });

  test("a time after the end is not in it", () => {
    expect(mediaAt(pieces, 180_000)).toBeNull();
    expect(wallEnd(pieces)).toBe(180_000);
  });

  test("nothing is known of an empty playlist", () => {
    expect(wallAt([], 1)).toBeNull();
    expect(mediaAt([], 1)).toBeNull();
    expect(wallEnd([])).toBeNull();
  });
});

test("stepping back counts what was recorded, not the gaps", () => {
  const { spans } = recordings([0, 10_000], [60_000, 70_000]);
  expect(recordedBefore(spans, 68_000, 5_000)).toBe(63_000);
  expect(recordedBefore(spans, 62_000, 5_000)).toBe(7_000);
  expect(recordedBefore(spans, 5_000, 20_000)).toBe(-15_000);
});

describe("a gap that was played over", () => {
  const pieces: Piece[] = [
    { mediaStartS: 0, durationS: 4, wallStartMs: 0 },
    { mediaStartS: 4, durationS: 4, wallStartMs: 4_000 },
    { mediaStartS: 8, durationS: 4, wallStartMs: 38_000 },
    { mediaStartS: 12, durationS: 4, wallStartMs: 45_000 },
  ];

  test("is what the playlist says is missing, to the millisecond", () => {
    expect(gapBetween(pieces, 7_900, 38_100, 1_500)).toEqual({ startMs: 8_000, endMs: 38_000 });
    expect(gapBetween(pieces, 38_100, 7_900, 1_500)).toEqual({ startMs: 8_000, endMs: 38_000 });
  });

  test("is none where the clock went far because nobody looked at it", () => {
    expect(gapBetween(pieces, 100, 7_900, 1_500)).toBeNull();
    expect(gapBetween([], 100, 7_900, 1_500)).toBeNull();
  });

  test("is told once, and only when it is behind", () => {
    expect(gapBetween(pieces, 7_000, 8_000, 1_500)).toBeNull();
    expect(gapBetween(pieces, 38_000, 38_200, 1_500)).toBeNull();
  });

  test("is the longest where several were led over", () => {
    expect(gapBetween(pieces, 3_000, 46_000, 1_500)).toEqual({ startMs: 8_000, endMs: 38_000 });
  });

  test("is not worth a word when it is short", () => {
    expect(gapBetween(pieces, 41_000, 46_000, 3_500)).toBeNull();
  });
});
