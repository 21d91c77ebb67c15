import { expect, test } from "vitest";

import { AHEAD_S, SoundDelay, SoundPlace, TOLERANCE_S } from "./soundPlace";

test("pieces join each other although where they should be wavers", () => {
  const place = new SoundPlace();
  expect(place.place(7, 1, 0.9)).toBe(1);
  expect(place.place(7.02, 1.05, 0.92)).toBeCloseTo(1.02);
  expect(place.place(7.04, 1.01, 0.94)).toBeCloseTo(1.04);
});

test("what was lost leaves a silence of its length", () => {
  const place = new SoundPlace();
  place.place(7, 1, 0.9);
  expect(place.place(7.06, 1.06, 0.96)).toBeCloseTo(1.06);
});

test("sound that has come apart from its pictures is moved to them, and goes on from there", () => {
  const place = new SoundPlace();
  place.place(7, 1, 0.9);
  const target = 1.02 + TOLERANCE_S + 0.01;
  expect(place.place(7.02, target, 0.92)).toBe(target);
  expect(place.place(7.04, target + 0.03, 0.94)).toBeCloseTo(target + 0.02);
});

test("timestamps that begin anew are no pause", () => {
  const place = new SoundPlace();
  place.place(7_000, 1, 0.9);
  expect(place.place(0, 1.02, 0.92)).toBe(1.02);
});

test("late sound is left out, and counted", () => {
  const place = new SoundPlace();
  place.place(7, 1, 0.9);
  expect(place.place(7.02, 1.02, 1.03)).toBeNull();
  expect(place.late).toBe(1);
});

test("sound that would be late is moved where it would not be", () => {
  const place = new SoundPlace();
  place.place(7, 1, 0.9);
  expect(place.place(7.02, 1.04, 1.03)).toBe(1.04);
  expect(place.late).toBe(0);
});

function delayOf(pictures: number[], sound: number[]): number {
  const delay = new SoundDelay();
  for (const age of pictures) delay.notePicture(age);
  for (const age of sound) delay.noteSound(age);
  return delay.ms;
}

const often = (...ages: number[]) => Array.from({ length: 100 }, () => ages).flat();

test("sound waits for the pictures of its moment", () => {
  expect(delayOf(often(300), often(50))).toBeGreaterThan(200);
  expect(delayOf(often(300), often(50))).toBeLessThanOrEqual(300);
});

test("it is not heard before most of it has come", () => {
  expect(delayOf(often(40), often(50))).toBeCloseTo(50 + AHEAD_S * 1_000, 0);
  expect(delayOf(often(40), often(40, 80))).toBeGreaterThan(80);
});

test("what was once very late is soon forgotten, and a delay has its limit", () => {
  expect(delayOf([], [2_000, ...often(50)])).toBeLessThan(60);
  expect(delayOf(often(5_000), [])).toBe(1_000);
  expect(delayOf([Number.NaN], [Number.NaN])).toBeLessThan(10);
});
