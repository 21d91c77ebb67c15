import { describe, expect, test } from "vitest";

import { type FramePiece, keyAt, stepFrom } from "./frames";

/** Pictures that last `durations` seconds each, a key picture first and every third. */
function piece(mediaStartS: number, durations: number[], loaded = true): FramePiece {
  let ptsS = 1000; // the recording's own timeline is another one than the player's
  const samples = durations.map((durationS, index) => {
    const sample = { ptsS, durationS, key: index % 3 === 0 };
    ptsS += durationS;
    return sample;
  });
  const durationS = durations.reduce((sum, each) => sum + each, 0);
  return { mediaStartS, durationS, wallStartMs: mediaStartS * 1000, samples: loaded ? samples : null };
}
const FRAME = 0.04;
const at = (mediaS: number) => ({ kind: "at", mediaS: expect.closeTo(mediaS, 6) });

describe("a step", () => {
  const uneven = piece(0, [0.03, 0.05, 0.04, 0.1, 0.02]);

  test("leads to the middle of the next picture, however long pictures are", () => {
    expect(stepFrom([uneven], 0, 1, FRAME)).toEqual(at(0.055));
    expect(stepFrom([uneven], 0.13, 1, FRAME)).toEqual(at(0.23));
  });

  test("back undoes a step forward, from every picture", () => {
    const pieces = [uneven, piece(0.24, [0.04, 0.04])];
    const places: number[] = [0.015];
    for (;;) {
      const step = stepFrom(pieces, places.at(-1) ?? 0, 1, FRAME);
      if (step.kind !== "at") break;
      places.push(step.mediaS);
    }
    expect(places).toHaveLength(7);
    for (let index = places.length - 1; index > 0; index -= 1) {
      expect(stepFrom(pieces, places[index] ?? 0, -1, FRAME)).toEqual(at(places[index - 1] ?? 0));
    }
  });

  test("crosses into the next and the last piece", () => {
    const pieces = [piece(0, [0.04, 0.04]), piece(0.08, [0.1, 0.1])];
    expect(stepFrom(pieces, 0.06, 1, FRAME)).toEqual(at(0.13));
    expect(stepFrom(pieces, 0.09, -1, FRAME)).toEqual(at(0.06));
  });

  test("guesses a picture's place in a piece that is not loaded", () => {
    const pieces = [piece(0, [0.04, 0.04], false), piece(0.08, [0.04, 0.04])];
    expect(stepFrom(pieces, 0.09, -1, FRAME)).toEqual(at(0.06));
    expect(stepFrom(pieces, 0.02, 1, FRAME)).toEqual(at(0.06));
  });

  test("says where the playlist ends, in both directions, loaded or not", () => {
    for (const loaded of [true, false]) {
      const pieces = [piece(0, [0.04, 0.04], loaded)];
      expect(stepFrom(pieces, 0.02, -1, FRAME)).toEqual({ kind: "before" });
      expect(stepFrom(pieces, 0.06, 1, FRAME)).toEqual({ kind: "after" });
    }
    expect(stepFrom([], 0, 1, FRAME)).toEqual({ kind: "after" });
  });

  test("takes the picture that a player's rounded time means", () => {
    expect(stepFrom([uneven], 0.0795, 1, FRAME)).toEqual(at(0.17));
  });
});

test("the key picture at or before a place is found, and the first of a piece that is not loaded", () => {
  const pieces = [piece(0, [0.04, 0.04, 0.04, 0.04, 0.04]), piece(0.2, [0.04, 0.04], false)];
  expect(keyAt(pieces, 0.11, FRAME)).toBeCloseTo(0.02);
  expect(keyAt(pieces, 0.19, FRAME)).toBeCloseTo(0.14);
  expect(keyAt(pieces, 0.27, FRAME)).toBeCloseTo(0.22);
});
