import { expect, test } from "vitest";

import { CaptureClock } from "./captureClock";

const EPOCH_MS = 1_764_000_000_000;

/** A message that the server made at that Unix time. */
function message(madeMs: number): ArrayBuffer {
  const data = new ArrayBuffer(40);
  new DataView(data).setBigUint64(9, BigInt(Math.round(madeMs * 1_000)) * 1_000n);
  return data;
}

test("nothing is known before the first message", () => {
  const clock = new CaptureClock();
  expect(clock.capturedMs(1)).toBeNaN();
  clock.begin(EPOCH_MS);
  expect(clock.capturedMs(1)).toBeNaN();
});

test("clocks that differ by years make no difference; the quickest message counts", () => {
  const clock = new CaptureClock();
  expect(clock.begin(EPOCH_MS)).toBe(0);
  // Captured at 1000 ms of media time, made 20 ms later, here at 5000 ms: quick, slow, less slow.
  for (const [madeMs, nowMs] of [[1_020, 5_000], [1_060, 5_200], [1_100, 5_100]] as const) {
    clock.noteMessage(message(EPOCH_MS + madeMs), nowMs);
  }
  expect(clock.capturedMs(1)).toBeCloseTo(4_980, 2);
});

test("a stream with an epoch of its own is shifted to the first one's", () => {
  const clock = new CaptureClock();
  clock.begin(EPOCH_MS);
  expect(clock.begin(EPOCH_MS + 2_500)).toBe(2.5);
  expect(clock.begin(EPOCH_MS - 500)).toBe(-0.5);
});

test("clocks that drift apart are followed, and messages too short to have times are no matter", () => {
  const clock = new CaptureClock();
  clock.begin(EPOCH_MS);
  clock.noteMessage(message(EPOCH_MS), 0);
  for (let nowMs = 61_000; nowMs < 200_000; nowMs += 61_000) clock.noteMessage(message(EPOCH_MS + nowMs - 30), nowMs);
  clock.noteMessage(new ArrayBuffer(5), 200_000);
  expect(clock.capturedMs(0)).toBeCloseTo(30, 2);
});
