// @vitest-environment jsdom
import { afterEach, expect, test, vi } from "vitest";

import { deviceSize, sameSize, type TileSize, watchSize, withSize } from "./tileSize";

afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

test("sizes are whole device pixels; a tile that is not laid out has none", () => {
  expect(deviceSize(320.4, 180.2, 1.5)).toEqual({ width: 481, height: 270 });
  expect(deviceSize(0, 180, 1)).toBeNull();
  expect(deviceSize(20_000, 100, 2)).toEqual({ width: 16_384, height: 200 });
});

test("a size joins an address with or without a query", () => {
  const size = { width: 640, height: 360 };
  expect(withSize("/whep", size)).toBe("/whep?width=640&height=360");
  expect(withSize("/live?supports=", size)).toBe("/live?supports=&width=640&height=360");
  expect(withSize("/whep", null)).toBe("/whep");
  expect(sameSize(size, { ...size })).toBe(true);
  expect(sameSize(size, null)).toBe(false);
});

test("the size is told at once, and later only when it has settled", () => {
  vi.useFakeTimers();
  let changed: () => void = () => undefined;
  vi.stubGlobal(
    "ResizeObserver",
    class {
      constructor(callback: () => void) {
        changed = callback;
      }
      observe() {}
      disconnect() {}
    },
  );
  const element = document.createElement("div");
  let width = 320;
  element.getBoundingClientRect = () => ({ width, height: 180 }) as DOMRect;
  const told: TileSize[] = [];
  const end = watchSize(element, (size) => told.push(size));
  expect(told).toEqual([{ width: 320, height: 180 }]);
  for (width of [400, 500, 600]) {
    changed();
    vi.advanceTimersByTime(200);
  }
  expect(told).toHaveLength(1);
  vi.advanceTimersByTime(200);
  expect(told.at(-1)).toEqual({ width: 600, height: 180 });
  changed();
  end();
  vi.advanceTimersByTime(1_000);
  expect(told).toHaveLength(2);
});
