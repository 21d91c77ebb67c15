import { describe, expect, test } from "vitest";

import { BEHIND_S, edgeStep, forgetUntil } from "./liveEdge";

describe("a buffered live picture", () => {
  test("plays at its own speed while it is near the newest picture", () => {
    expect(edgeStep(9.8, [{ start: 0, end: 10 }], false)).toEqual({ rate: 1, seekTo: null });
    expect(edgeStep(0, [], false)).toEqual({ rate: 1, seekTo: null });
  });

  test("hurries when it falls behind, until it has caught up", () => {
    expect(edgeStep(9.4, [{ start: 0, end: 10 }], false).rate).toBeGreaterThan(1);
    expect(edgeStep(9.7, [{ start: 0, end: 10 }], true).rate).toBeGreaterThan(1);
    expect(edgeStep(9.9, [{ start: 0, end: 10 }], true).rate).toBe(1);
  });

  test("hurries the more, the further it is behind: after a cut of a second it is back within four", () => {
    let [atS, hurrying] = [8.5, false];
    for (let stepMs = 0; stepMs < 4_000; stepMs += 100) {
      const newestS = 10 + stepMs / 1000;
      const { rate } = edgeStep(atS, [{ start: 0, end: newestS }], hurrying);
      hurrying = rate > 1;
      atS += 0.1 * rate;
    }
    expect(14 - atS).toBeLessThan(0.5);
  });

  test("jumps when it is far behind, or in a hole", () => {
    expect(edgeStep(2, [{ start: 0, end: 10 }], false).seekTo).toBeCloseTo(10 - BEHIND_S);
    const holes = [
      { start: 0, end: 5 },
      { start: 5.5, end: 5.6 },
    ];
    expect(edgeStep(5, holes, false).seekTo).toBe(5.5);
  });

  test("forgets what is long past, and only that", () => {
    expect(forgetUntil(15, [{ start: 0, end: 15 }])).toBeNull();
    expect(forgetUntil(25, [{ start: 0, end: 25 }])).toBe(15);
    expect(forgetUntil(5, [])).toBeNull();
  });
});
