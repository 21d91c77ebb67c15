import { describe, expect, test } from "vitest";

import { arrange, isLayout, neighbour, pageCount } from "./gridLayout";

describe("the automatic layout", () => {
  test.each([
    [1, 1],
    [2, 2],
    [4, 2],
    [5, 3],
    [9, 3],
    [16, 4],
    [25, 5],
  ])("shows %d cameras in %d columns on a guard's screen", (cameras, columns) => {
    expect(arrange("auto", cameras, 1900, 980, 6).columns).toBe(columns);
  });

  test("never needs more room than there is", () => {
    for (let cameras = 1; cameras <= 25; cameras += 1) {
      const { columns, tileWidthPx, tileHeightPx } = arrange("auto", cameras, 1900, 980, 6);
      const rows = Math.ceil(cameras / columns);
      expect(columns * tileWidthPx + (columns - 1) * 6).toBeLessThanOrEqual(1900);
      expect(rows * tileHeightPx + (rows - 1) * 6).toBeLessThanOrEqual(980);
    }
  });

  test("is one column on a phone held upright", () => {
    expect(arrange("auto", 9, 378, 720, 6)).toEqual({ columns: 1, tileWidthPx: 378, tileHeightPx: 212 });
  });
});

test("a chosen layout keeps its places, also when cameras are fewer", () => {
  expect(arrange("9", 2, 1900, 980, 6).columns).toBe(3);
  expect(arrange("16", 2, 378, 720, 6).columns).toBe(2);
});

test("an area that is not measured yet gives tiles without size, not an error", () => {
  expect(arrange("auto", 4, -12, -12, 6)).toMatchObject({ tileWidthPx: 0 });
});

test("what does not fit goes to further pages", () => {
  expect(pageCount(0, "4")).toBe(1);
  expect(pageCount(4, "4")).toBe(1);
  expect(pageCount(5, "4")).toBe(2);
  expect(pageCount(26, "auto")).toBe(2);
});

test("arrow keys move between tiles and stop at the edges", () => {
  expect(neighbour("ArrowRight", 0, 5, 3)).toBe(1);
  expect(neighbour("ArrowDown", 1, 5, 3)).toBe(4);
  expect(neighbour("ArrowDown", 2, 5, 3)).toBe(2);
  expect(neighbour("ArrowLeft", 0, 5, 3)).toBe(0);
  expect(neighbour("End", 0, 5, 3)).toBe(4);
  expect(neighbour("Home", 4, 5, 3)).toBe(0);
  expect(neighbour("x", 2, 5, 3)).toBe(2);
});

test("a layout from an address is checked", () => {
  expect(isLayout("9")).toBe(true);
  expect(isLayout("7")).toBe(false);
  expect(isLayout(null)).toBe(false);
});
