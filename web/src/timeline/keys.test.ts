import { expect, test } from "vitest";

import { pressKey } from "./keys";

const HOUR = 3_600_000;
const NOW = 10 * HOUR;
const view = { startMs: 9 * HOUR, endMs: 10 * HOUR };
const press = (key: string, cursorMs: number | null = null, shiftKey = false) =>
  pressKey({ key, shiftKey }, view, 1000, cursorMs, 9.5 * HOUR, NOW);

test("an arrow moves a cursor away from the playhead by one mark", () => {
  expect(press("ArrowLeft")?.cursorMs).toBe(9.5 * HOUR - 120_000);
  expect(press("ArrowRight", 9.6 * HOUR)?.cursorMs).toBe(9.6 * HOUR + 120_000);
});

test("the cursor stays in sight and never enters the future", () => {
  const result = press("ArrowRight", NOW);
  expect(result?.cursorMs).toBe(NOW);
  expect(result?.view.endMs).toBeGreaterThan(NOW);
});

test("Shift and an arrow pan, and leave the cursor", () => {
  expect(press("ArrowLeft", null, true)).toEqual({
    cursorMs: null,
    view: { startMs: 8.75 * HOUR, endMs: 9.75 * HOUR },
  });
});

test("Enter plays from the cursor; without one, Enter and Space are the page's", () => {
  expect(press("Enter", 9.2 * HOUR)).toMatchObject({ seekMs: 9.2 * HOUR, cursorMs: null });
  expect(press("Enter")).toBeNull();
  expect(press(" ")).toBeNull();
});

test("plus and minus zoom about the cursor", () => {
  const closer = press("+", 9.25 * HOUR)?.view;
  expect(closer && closer.endMs - closer.startMs).toBe(HOUR / 2);
  expect(closer && (9.25 * HOUR - closer.startMs) / (HOUR / 2)).toBeCloseTo(0.25);
});

test("End goes to the present", () => {
  expect(press("End")).toMatchObject({ live: true, cursorMs: null });
});

test("other keys are left alone", () => {
  expect(press("a")).toBeNull();
  expect(press("Escape")).toBeNull();
});
