import { expect, test } from "vitest";

import { backOffMs, retryDelayMs } from "./backOff";

const ATTEMPTS = [1, 2, 3, 4, 5, 6, 7];

test("back-off doubles up to its limit, and half of it is chance", () => {
  expect(ATTEMPTS.map((attempt) => backOffMs(attempt, 30_000, () => 1))).toEqual([
    1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000,
  ]);
  expect(backOffMs(3, 30_000, () => 0)).toBe(2_000);
});

test("what passes by itself is tried at least every 5 s, what was refused every 30 s", () => {
  expect(retryDelayMs({ code: "unavailable" }, 9, () => 1)).toBe(5_000);
  expect(retryDelayMs({ code: "refused" }, 9, () => 1)).toBe(30_000);
});

test("a view that has played until now is tried again at once, unless the server wants time", () => {
  expect(retryDelayMs({ code: "frozen" }, 0, () => 1)).toBe(0);
  expect(retryDelayMs({ code: "unavailable", retryAfterMs: 2_000 }, 0, () => 0)).toBe(2_000);
  expect(retryDelayMs({ code: "unavailable", retryAfterMs: 2_000 }, 0, () => 1)).toBe(2_500);
});

test("a wish is never undercut, and one beyond a minute is not believed", () => {
  for (const attempt of ATTEMPTS) {
    expect(retryDelayMs({ code: "unavailable", retryAfterMs: 3_000 }, attempt, () => 0)).toBeGreaterThanOrEqual(3_000);
  }
  expect(retryDelayMs({ code: "unavailable", retryAfterMs: 86_400_000 }, 1, () => 0)).toBe(60_000);
});
