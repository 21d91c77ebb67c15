import { expect, test } from "vitest";

import { bufferAheadS, hasSound, nextRate, RATES, reversed } from "./rates";
import { advanced, fallsBehind, SpeedMeter, worthSaying } from "./speed";

/** What plays `rate` seconds of media and shows `pictures` pictures a second, for `seconds`. */
function metered(rate: number, pictures: number, seconds: number): SpeedMeter {
  const meter = new SpeedMeter();
  for (let n = 0; n <= seconds * 10; n += 1) meter.push({ atMs: n * 100, mediaS: (n / 10) * rate, shown: (n / 10) * pictures });
  return meter;
}

test("the measured speed is that of the last two seconds, and unknown at first", () => {
  expect(metered(4, 25, 0.5).speed()).toBeNull();
  const meter = metered(4, 25, 10);
  for (let n = 1; n <= 20; n += 1) meter.push({ atMs: 10_000 + n * 100, mediaS: 40 + n * 0.2, shown: 250 });
  expect(meter.speed()).toBeCloseTo(2);
});

test("a speed that is nearly the chosen one is not worth saying; a slower or backward one is said as it is", () => {
  expect(worthSaying(7.5, 8)).toBeNull();
  expect(worthSaying(null, 8)).toBeNull();
  expect(worthSaying(5.23, 8)).toBe(5.2);
  expect(worthSaying(-3.04, -8)).toBe(-3);
});

test("a browser falls behind when it is slower or shows next to nothing", () => {
  expect(fallsBehind(metered(8, 60, 3), 8)).toBe(false);
  expect(fallsBehind(metered(5, 60, 3), 8)).toBe(true);
  expect(fallsBehind(metered(8, 1, 3), 8)).toBe(true);
  expect(fallsBehind(new SpeedMeter(), 8)).toBe(false);
});

test("playing by seeking keeps the speed, and does not leap after a stall", () => {
  expect(advanced(100, 250, -4)).toBeCloseTo(99);
  expect(advanced(100, 60_000, -4)).toBeCloseTo(98);
});

test("keys go through every speed and stop at the ends", () => {
  let rate = -8;
  const seen = [rate];
  while (nextRate(rate, 1) !== rate) seen.push((rate = nextRate(rate, 1)));
  expect(seen).toEqual(RATES);
  expect(nextRate(-8, -1)).toBe(-8);
});

test("turning round keeps the speed where there is one", () => {
  expect([reversed(1), reversed(4), reversed(0.25), reversed(16), reversed(-4)]).toEqual([-1, -4, -1, -1, 1]);
});

test("sound is heard up to twice the speed, and never backwards", () => {
  expect([0.25, 1, 2, 4, -1].map(hasSound)).toEqual([true, true, true, false, false]);
});

test("faster playing loads further ahead, but no more than browsers hold", () => {
  expect([1, 8, 16].map(bufferAheadS)).toEqual([30, 64, 120]);
});
