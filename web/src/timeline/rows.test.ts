import { expect, test } from "vitest";

import { drawRows, rowAt, rowHeight } from "./rows";

const COLOURS = { track: "t", recorded: "r", event: "e", locked: "l" };
const VIEW = { startMs: 0, endMs: 1000 };

function painter() {
  const rects: [string, number, number, number, number][] = [];
  const made = { fillStyle: "", fillRect: (x: number, y: number, w: number, h: number) => rects.push([made.fillStyle, x, y, w, h]) };
  return { context: made as never, rects };
}

test("each camera has its row, with what happened and what is locked in it", () => {
  const { context, rects } = painter();
  const coverage = new Map([
    ["a", { spans: [{ startMs: 0, endMs: 500 }], events: [{ startMs: 100, endMs: 200 }], locked: [] }],
    ["b", { spans: [], events: [], locked: [{ startMs: 900, endMs: 1000 }] }],
  ]);
  drawRows(context, ["a", "b"], coverage, VIEW, 100, COLOURS);
  expect(rects).toEqual([
    ["t", 0, 0, 100, 20],
    ["t", 0, 22, 100, 20],
    ["r", 0, 0, 50, 20],
    ["e", 10, 16, 10, 4],
    ["l", 90, 22, 10, 4],
  ]);
});

test("a camera that nothing is known of is an empty row", () => {
  const { context, rects } = painter();
  drawRows(context, ["a"], new Map(), VIEW, 100, COLOURS);
  expect(rects.map(([colour]) => colour)).toEqual(["t"]);
});

test("two hundred cameras fit where sixteen do, and every row can be pointed at", () => {
  for (const rows of [1, 16, 200]) {
    expect(rowHeight(rows) * rows).toBeLessThanOrEqual(200);
    for (let row = 0; row < rows; row += 1) expect(rowAt(row * rowHeight(rows), rows)).toBe(row);
    expect([rowAt(-5, rows), rowAt(9999, rows)]).toEqual([0, rows - 1]);
  }
});

test("a year of two hundred cameras, an hour missing every day, is no more rectangles than pixels a row", () => {
  const { context, rects } = painter();
  const day = 86_400_000;
  const spans = Array.from({ length: 365 }, (_, n) => ({ startMs: n * day, endMs: (n + 1) * day - 3_600_000 }));
  const ids = Array.from({ length: 200 }, (_, n) => `camera-${n}`);
  const coverage = new Map(ids.map((id) => [id, { spans, events: spans, locked: [] }]));
  drawRows(context, ids, coverage, { startMs: 0, endMs: 365 * day }, 1600, COLOURS);
  expect(rects.length).toBeLessThan(200 * (1 + 2 * 800));
});
