import { describe, expect, test } from "vitest";

import { localTimes, MONTH, ticks, tickSteps } from "./ticks";
import type { View } from "./view";

const ZONE = "America/Sao_Paulo";
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const from = (start: Date, spanMs: number): View => ({
  startMs: start.getTime(),
  endMs: start.getTime() + spanMs,
});

test("tests run in a zone that is not UTC, or they would prove little", () => {
  expect(new Date(2026, 10, 23).getTimezoneOffset()).toBe(180);
});

describe.each([20_000, MINUTE, 10 * MINUTE, HOUR, 6 * HOUR, DAY, 7 * DAY, 31 * DAY, 120 * DAY, 400 * DAY])("a span of %d ms", (span) => {
  const view = from(new Date(2026, 10, 23, 14, 3, 22), span);

  test("has labels that do not touch each other", () => {
    const labels = ticks(ZONE, view, 1000, 84).filter((tick) => tick.label !== null);
    const gaps = labels.slice(1).map((tick, index) => tick.ms - (labels[index]?.ms ?? 0));
    expect(labels.length).toBeGreaterThan(1);
    // Months of 28 to 31 days and clock changes make weeks and days a little uneven.
    for (const gap of gaps) expect((gap / span) * 1000).toBeGreaterThan(80);
  });

  test("has a bounded number of marks, in order and in view", () => {
    const all = ticks(ZONE, view, 1000);
    expect(all.length).toBeLessThan(150);
    expect(all.map((tick) => tick.ms)).toEqual(all.map((tick) => tick.ms).toSorted((a, b) => a - b));
    for (const { ms } of all) expect(ms >= view.startMs && ms <= view.endMs).toBe(true);
  });
});

test("marks are on whole local hours, and midnight is labelled with its day", () => {
  const all = ticks(ZONE, from(new Date(2026, 10, 23, 20), 8 * HOUR), 1000).filter((tick) => tick.label !== null);
  expect(all.map((tick) => new Date(tick.ms).getMinutes())).toEqual(all.map(() => 0));
  expect(all.filter((tick) => tick.label === "day").map((tick) => tick.ms)).toEqual([
    new Date(2026, 10, 24).getTime(),
  ]);
});

test("close up, labels have seconds", () => {
  const labels = ticks(ZONE, from(new Date(2026, 10, 23, 14, 3), 30_000), 1000).map((tick) => tick.label);
  expect(labels).toContain("second");
});

test("hours and days stay in step when clocks change", () => {
  // São Paulo, 4 November 2018: midnight became 01:00.
  const hours = localTimes(ZONE, from(new Date(2018, 10, 3, 22), 6 * HOUR), HOUR);
  expect(hours.map((ms) => new Date(ms).getHours())).toEqual([22, 23, 1, 2, 3, 4, 5]);
  const days = localTimes(ZONE, from(new Date(2018, 10, 3), 2.5 * DAY), DAY);
  expect(days.map((ms) => new Date(ms).getDate())).toEqual([3, 4, 5]);
});

test("an hour that comes twice has two marks, one that clocks leave out has none", () => {
  const utc = (text: string) => Date.parse(text);
  const back = { startMs: utc("2026-10-24T23:00:00Z"), endMs: utc("2026-10-25T03:00:00Z") };
  expect(localTimes("Europe/Berlin", back, HOUR)).toEqual([0, 1, 2, 3, 4].map((n) => back.startMs + n * HOUR));
  const forward = { startMs: utc("2026-03-29T00:00:00Z"), endMs: utc("2026-03-29T02:00:00Z") };
  expect(localTimes("Europe/Berlin", forward, HOUR)).toEqual([0, 1, 2].map((n) => forward.startMs + n * HOUR));
});

test("a year is labelled by months, at their first day", () => {
  const all = ticks(ZONE, from(new Date(2026, 0, 15), 360 * DAY), 1400).filter((tick) => tick.label !== null);
  expect(new Set(all.map((tick) => tick.label))).toEqual(new Set(["month"]));
  expect(all.map((tick) => new Date(tick.ms).getDate())).toEqual(all.map(() => 1));
  expect(all).toHaveLength(12);
});

test("the same view has its marks elsewhere in another zone", () => {
  const view = { startMs: Date.parse("2026-07-01T00:00:00Z"), endMs: Date.parse("2026-07-02T00:00:00Z") };
  expect(localTimes("Asia/Kolkata", view, DAY)).toEqual([Date.parse("2026-07-01T18:30:00Z")]);
});

test("beyond the widest step the steps stay at years", () => {
  expect(tickSteps(from(new Date(2026, 0, 1), 9000 * DAY), 300, 84)).toEqual([12 * MONTH, 3 * MONTH]);
});
