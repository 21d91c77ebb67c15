import { expect, test } from "vitest";

import { contentOf, marked, suggestion } from "./selection";

test("the suggestion is the minute around what is shown, and never the future", () => {
  expect(suggestion(100_000, 500_000)).toEqual({ startMs: 70_000, endMs: 130_000 });
  expect(suggestion(500_000, 500_000)).toEqual({ startMs: 440_000, endMs: 500_000 });
});

test("marking one end keeps the other unless it would be on the wrong side", () => {
  const selection = { startMs: 10_000, endMs: 50_000 };
  expect(marked(selection, "startMs", 20_000)).toEqual({ startMs: 20_000, endMs: 50_000 });
  expect(marked(selection, "endMs", 30_000)).toEqual({ startMs: 10_000, endMs: 30_000 });
  expect(marked(selection, "startMs", 60_000).endMs).toBeGreaterThan(60_000);
  expect(marked(null, "endMs", 60_000).startMs).toBeLessThan(60_000);
});

test("what a range holds is counted from spans and estimated from files", () => {
  const recordings = {
    spans: [
      { startMs: 0, endMs: 10_000 },
      { startMs: 20_000, endMs: 40_000 },
    ],
    gaps: [],
    segments: [
      { startMs: 0, endMs: 10_000, bytes: 1_000 },
      { startMs: 20_000, endMs: 40_000, bytes: 4_000 },
    ],
  };
  expect(contentOf({ startMs: 5_000, endMs: 30_000 }, recordings)).toEqual({
    recordedMs: 15_000,
    missingMs: 10_000,
    bytes: 2_500,
  });
});
