import { expect, test } from "vitest";

import { comesTwice, dayStart, differs, instantOf, offsetMs, wallTime } from "./zone";

const BERLIN = "Europe/Berlin";
const at = (text: string) => Date.parse(text);
const wall = (year: number, month: number, day: number, hour = 0, minute = 0, second = 0) => ({ year, month, day, hour, minute, second });

test("clocks of a zone are read in summer and winter, and before 1970", () => {
  expect(wallTime(BERLIN, at("2026-07-01T12:00:00Z"))).toEqual(wall(2026, 7, 1, 14));
  expect(wallTime(BERLIN, at("2026-01-01T12:00:05.999Z"))).toEqual(wall(2026, 1, 1, 13, 0, 5));
  expect(offsetMs("Asia/Kolkata", at("1969-12-31T23:59:59.500Z"))).toBe(5.5 * 3_600_000);
});

test("an instant survives the way through the wall clock, every hour of a year with clock changes", () => {
  for (let ms = at("2026-01-01T00:30:00Z"); ms < at("2027-01-01T00:00:00Z"); ms += 3_600_000) {
    const back = instantOf(BERLIN, wallTime(BERLIN, ms));
    // The second of two equal readings is answered with the first.
    expect(ms - back === 0 || (ms - back === 3_600_000 && comesTwice(BERLIN, ms))).toBe(true);
  }
});

test("a time that clocks leave out is later by the jump", () => {
  expect(instantOf(BERLIN, wall(2026, 3, 29, 2, 30))).toBe(at("2026-03-29T01:30:00Z"));
});

test("days are 23 and 25 hours long when clocks change", () => {
  const day = (month: number, date: number) => dayStart(BERLIN, 2026, month, date + 1) - dayStart(BERLIN, 2026, month, date);
  expect([day(3, 29) / 3_600_000, day(10, 25) / 3_600_000, day(12, 31) / 3_600_000]).toEqual([23, 25, 24]);
});

test("a day begins at 01:00 where clocks change at midnight", () => {
  // America/Sao_Paulo, 4 November 2018
  expect(dayStart("America/Sao_Paulo", 2018, 11, 4)).toBe(at("2018-11-04T03:00:00Z"));
  expect(wallTime("America/Sao_Paulo", at("2018-11-04T03:00:00Z")).hour).toBe(1);
});

test("only the hour that comes twice is said to", () => {
  const twice = ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"];
  const once = ["2026-10-24T23:59:00Z", "2026-10-25T02:00:00Z", "2026-03-29T01:30:00Z", "2026-07-01T00:30:00Z"];
  expect(twice.map((text) => comesTwice(BERLIN, at(text)))).toEqual([true, true]);
  expect(once.map((text) => comesTwice(BERLIN, at(text)))).toEqual([false, false, false, false]);
});

test("zones differ where their clocks do, not their names", () => {
  expect(differs("Europe/London", "UTC", at("2026-01-01T00:00:00Z"))).toBe(false);
  expect(differs("Europe/London", "UTC", at("2026-07-01T00:00:00Z"))).toBe(true);
});
