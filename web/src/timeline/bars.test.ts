import { expect, test } from "vitest";

import type { Gap } from "../api/recordings";
import { adjacentGap, gapBars, instantAt, recordedDates, spanBars } from "./bars";
import { gapKind, knownReason } from "./gapKind";

const view = { startMs: 0, endMs: 1000 };
const gap = (startMs: number, endMs: number, reason = "camera_lost"): Gap => ({ startMs, endMs, reason, open: false });

test("only what is in view is drawn, cut at its edges", () => {
  const spans = [
    { startMs: -500, endMs: 100 },
    { startMs: 200, endMs: 300 },
    { startMs: 900, endMs: 5000 },
    { startMs: 6000, endMs: 7000 },
  ];
  expect(spanBars(spans, view, 100)).toEqual([
    { x: 0, width: 10 },
    { x: 20, width: 10 },
    { x: 90, width: 10 },
  ]);
});

test("stretches less than a pixel apart become one bar", () => {
  const spans = Array.from({ length: 500 }, (_, index) => ({ startMs: index * 2, endMs: index * 2 + 1 }));
  expect(spanBars(spans, view, 100)).toHaveLength(1);
});

test("a gap too short for a pixel is still seen", () => {
  expect(gapBars([gap(500, 500.1)], view, 100)).toEqual([{ x: 50, width: 2, reason: "camera_lost" }]);
});

test("gaps of different reasons stay apart", () => {
  expect(gapBars([gap(100, 110), gap(110, 120, "packet_loss"), gap(120, 130)], view, 100)).toHaveLength(3);
});

test("an instant is recorded, in a gap, or unknown", () => {
  const recordings = { spans: [{ startMs: 0, endMs: 100 }], gaps: [gap(100, 200)], segments: [] };
  expect(instantAt(recordings, 50)).toEqual({ kind: "recorded" });
  expect(instantAt(recordings, 150)).toMatchObject({ kind: "gap", gap: { reason: "camera_lost" } });
  expect(instantAt(recordings, 250)).toEqual({ kind: "nothing" });
  expect(instantAt(recordings, 95, 10)).toMatchObject({ kind: "gap" });
});

test("the next gap is the one after the one being looked at", () => {
  const gaps = [gap(100, 200), gap(500, 600)];
  expect(adjacentGap(gaps, 0, 1, 10)?.startMs).toBe(100);
  expect(adjacentGap(gaps, 90, 1, 10)?.startMs).toBe(500);
  expect(adjacentGap(gaps, 490, -1, 10)?.startMs).toBe(100);
  expect(adjacentGap(gaps, 50, -1, 10)).toBeUndefined();
});

test("a reason that a newer server added is shown as not recorded", () => {
  expect(knownReason("alien")).toBe("unknown");
  expect(knownReason("constructor")).toBe("unknown");
  expect(gapKind("disk_error")).toBe("fault");
});

test("a recording over midnight marks both its days", () => {
  const span = {
    startMs: new Date(2026, 10, 23, 23).getTime(),
    endMs: new Date(2026, 10, 24, 1).getTime(),
  };
  expect([...recordedDates("America/Sao_Paulo", [span])]).toEqual(["2026-11-23", "2026-11-24"]);
});
