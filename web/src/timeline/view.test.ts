import { expect, test } from "vitest";

import {
  around,
  clampToNow,
  dayOf,
  fetchRange,
  follow,
  MAX_SPAN_MS,
  MIN_SPAN_MS,
  pinch,
  reveal,
  spanOf,
  toMs,
  toPx,
  zoom,
} from "./view";

const HOUR = 3_600_000;
const view = { startMs: 0, endMs: HOUR };

test("pixels and times map onto each other", () => {
  expect(toPx(view, 1000, HOUR / 4)).toBe(250);
  expect(toMs(view, 1000, 250)).toBe(HOUR / 4);
  expect(toMs(view, 0, 250)).toBe(0);
});

test("zooming keeps what is under the pointer in its place", () => {
  const closer = zoom(view, 0.5, HOUR / 4);
  expect(spanOf(closer)).toBe(HOUR / 2);
  expect(toPx(closer, 1000, HOUR / 4)).toBe(250);
});

test("zooming stops at the limits", () => {
  expect(spanOf(zoom(view, 1e-9, 0))).toBe(MIN_SPAN_MS);
  expect(spanOf(zoom(view, 1e9, 0))).toBe(MAX_SPAN_MS);
  expect(spanOf(around(0, 1))).toBe(MIN_SPAN_MS);
});

test("two fingers keep the times that they hold", () => {
  const pinched = pinch(view, 1000, { ms: HOUR / 4, px: 100 }, { ms: HOUR / 2, px: 900 });
  expect(toPx(pinched, 1000, HOUR / 4)).toBeCloseTo(100);
  expect(toPx(pinched, 1000, HOUR / 2)).toBeCloseTo(900);
});

test("fingers that touch or cross change nothing", () => {
  expect(pinch(view, 1000, { ms: 1, px: 100 }, { ms: 2, px: 104 })).toBe(view);
  expect(pinch(view, 1000, { ms: HOUR / 4, px: 900 }, { ms: HOUR / 2, px: 100 })).toBe(view);
});

test("the view does not run away into the future", () => {
  const far = { startMs: 10 * HOUR, endMs: 11 * HOUR };
  expect(clampToNow(far, HOUR).endMs).toBe(1.5 * HOUR);
  expect(clampToNow(view, HOUR)).toBe(view);
});

test("revealing moves no further than needed", () => {
  expect(reveal(view, HOUR / 2)).toBe(view);
  expect(reveal(view, HOUR).endMs).toBeCloseTo(1.1 * HOUR);
  expect(reveal(view, 0).startMs).toBeCloseTo(-0.1 * HOUR);
});

test("the view follows what plays in it, and stays where the user moved it away from that", () => {
  expect(follow(view, 0.89 * HOUR, 0.95 * HOUR).endMs).toBeCloseTo(1.05 * HOUR);
  expect(follow(view, 2 * HOUR, 2.1 * HOUR)).toBe(view);
  expect(follow(view, 0.5 * HOUR, 0.6 * HOUR)).toBe(view);
});

test("the fetched range covers the view and stays the same while it moves a little", () => {
  const range = fetchRange({ startMs: 10 * HOUR, endMs: 11 * HOUR });
  expect(range.startMs).toBeLessThanOrEqual(9.75 * HOUR);
  expect(range.endMs).toBeGreaterThanOrEqual(11.25 * HOUR);
  expect(fetchRange({ startMs: 10 * HOUR + 1000, endMs: 11 * HOUR + 1000 })).toEqual(range);
});

test("a day on which clocks change has 23 or 25 hours", () => {
  // São Paulo, 4 November 2018: midnight became 01:00.
  const noon = new Date(2018, 10, 4, 12).getTime();
  expect(spanOf(dayOf("America/Sao_Paulo", noon))).toBe(23 * HOUR);
});
