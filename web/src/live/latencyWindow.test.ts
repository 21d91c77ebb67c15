import { expect, test } from "vitest";

import { BOUNDS_MS, LatencyWindow } from "./latencyWindow";

function watched(ages: readonly number[], intervals: readonly number[] = []): LatencyWindow {
  const window = new LatencyWindow();
  let shownMs = 1_000;
  for (const [number, age] of ages.entries()) {
    window.note({ shownMs, capturedMs: shownMs - age, receivedMs: shownMs - 10 });
    shownMs += intervals[number] ?? 40;
  }
  return window;
}

test("pictures are counted by how old they were, bounds included", () => {
  const report = watched([50, 51, 120, 3_000]).take("webrtc", 2);
  expect(report).toMatchObject({ protocol: "webrtc", frames: 4, dropped: 2, freezes: 0 });
  expect(report?.camera_to_screen?.sum_ms).toBe(3_221);
  const counts = report?.camera_to_screen?.counts ?? [];
  expect(counts).toHaveLength(BOUNDS_MS.length + 1);
  expect([counts[5], counts[6], counts[7], counts[13]]).toEqual([1, 1, 1, 1]);
  expect(report?.in_browser?.counts[3]).toBe(4);
});

test("a report is of the pictures since the one before, and there is none of no pictures", () => {
  const window = watched([50, 60]);
  expect(window.take("hls", 0)?.frames).toBe(2);
  expect(window.take("hls", 0)).toBeNull();
  expect(window.summary).toBeNull();
});

test("ages that only wrong clocks explain are left out, the pictures are not", () => {
  const report = watched([-5, 25_000, Number.NaN]).take("webrtc", -1);
  expect(report).toMatchObject({ frames: 3, dropped: 0 });
  expect(report).not.toHaveProperty("camera_to_screen");
});

test("P50 and P95 are of the pictures themselves", () => {
  const ages = Array.from({ length: 100 }, (_, number) => 100 - number);
  expect(watched(ages).summary).toEqual({ p50Ms: 51, p95Ms: 96 });
});

test("a picture that stands still far longer than usual is a freeze, slow pictures and hidden pages are none", () => {
  expect(watched([50, 50, 50, 50], [40, 400, 40]).take("webrtc", 0)?.freezes).toBe(1);
  expect(watched([50, 50, 50, 50], [40, 150, 40]).take("webrtc", 0)?.freezes).toBe(0);
  expect(watched([50, 50, 50, 50], [1_000, 1_000, 1_000]).take("webrtc", 0)?.freezes).toBe(0);
  const window = watched([50, 50, 50]);
  window.pause();
  window.note({ shownMs: 60_000, capturedMs: 59_950, receivedMs: 59_990 });
  expect(window.take("webrtc", 0)?.freezes).toBe(0);
});
