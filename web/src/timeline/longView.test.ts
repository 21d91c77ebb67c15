import { expect, test } from "vitest";

import { coverageRange, resolutionFor } from "./longView";
import { MAX_SPAN_MS, spanOf } from "./view";

const DAY = 86_400_000;
const NOW = Date.parse("2026-11-23T14:03:22Z");
const view = (spanMs: number, panMs = 0) => ({ startMs: NOW - spanMs + panMs, endMs: NOW + panMs });

test.each([30_000, DAY, 31 * DAY, 366 * DAY, MAX_SPAN_MS])("a view of %d ms is inside what is asked for, which is not too wide", (span) => {
  const asked = coverageRange(view(span));
  expect(asked.endMs).toBeGreaterThanOrEqual(NOW);
  expect(asked.startMs).toBeLessThanOrEqual(NOW - span + 60_000);
  expect(spanOf(asked)).toBeLessThanOrEqual(MAX_SPAN_MS);
});

test("panning a little asks for the same", () => {
  const many = Array.from({ length: 20 }, (_, n) => JSON.stringify(coverageRange(view(31 * DAY, n * DAY))));
  expect(new Set(many).size).toBeLessThan(5);
});

test("the answer is about as fine as a screen, at any zoom", () => {
  for (const span of [30_000, DAY, 31 * DAY, 366 * DAY]) {
    const places = span / 1000 / resolutionFor(view(span));
    expect(places).toBeGreaterThanOrEqual(Math.min(30, span / 1000));
    expect(places).toBeLessThanOrEqual(11_000);
  }
  expect(resolutionFor(view(366 * DAY))).toBe(10_800);
});
