import { expect, test } from "vitest";

import type { ScheduleEntry } from "../api/types";
import { clockText, endsNextDay, isComplete, nextClockChange, scheduleForm, sentSchedule, weekOf } from "./schedule";

const entry = (change: Partial<ScheduleEntry>): ScheduleEntry => ({
  days: ["mon"],
  start: "08:00",
  end: "18:00",
  record: "continuous",
  ...change,
});
const shown = (entries: ScheduleEntry[]) =>
  weekOf(entries).map((day) => day.map(({ startMinute, endMinute, mode }) => `${clockText(startMinute)}-${clockText(endMinute)} ${mode}`));

test("an entry is shown on its days alone", () => {
  expect(shown([entry({ days: ["mon", "sun"] })])).toEqual([["08:00-18:00 continuous"], [], [], [], [], [], ["08:00-18:00 continuous"]]);
});

test("a night reaches into the next day, and Sunday's into Monday", () => {
  const week = shown([entry({ days: ["sun"], start: "22:00", end: "06:00", record: "events" })]);
  expect(week[6]).toEqual(["22:00-24:00 events"]);
  expect(week[0]).toEqual(["00:00-06:00 events"]);
});

test("an end at midnight is the end of the day, and the same time twice is all of it", () => {
  expect(shown([entry({ end: "00:00" })])[0]).toEqual(["08:00-24:00 continuous"]);
  expect(shown([entry({ start: "00:00", end: "00:00" })]).slice(0, 2)).toEqual([["00:00-24:00 continuous"], []]);
  expect([endsNextDay(entry({ end: "00:00" })), endsNextDay(entry({}))]).toEqual([true, false]);
});

test("where entries overlap, continuous wins in whatever order they stand", () => {
  const events = entry({ start: "00:00", end: "00:00", record: "events" });
  const expected = ["00:00-08:00 events", "08:00-18:00 continuous", "18:00-24:00 events"];
  expect(shown([entry({}), events])[0]).toEqual(expected);
  expect(shown([events, entry({})])[0]).toEqual(expected);
});

test("an entry without a day or a time is not complete", () => {
  expect(isComplete(entry({}))).toBe(true);
  expect(isComplete(entry({ days: [] }))).toBe(false);
  expect(isComplete(entry({ end: "" }))).toBe(false);
  expect(isComplete(entry({ start: "25:00" }))).toBe(false);
});

test("a schedule is shown and sent back as the same", () => {
  const form = scheduleForm({ time_zone: null, entries: [entry({ days: ["sun", "mon"], end: "24:00" })] });
  expect(form.timeZone).toBe("");
  expect(sentSchedule(form)).toEqual({ time_zone: null, entries: [entry({ days: ["mon", "sun"], end: "00:00" })] });
  expect(sentSchedule({ ...form, timeZone: "UTC" }).time_zone).toBe("UTC");
});

test("the next change of clocks is said with what clocks show", () => {
  expect(nextClockChange("America/Sao_Paulo", Date.parse("2026-01-01T00:00:00Z"))).toBeNull();
  expect(nextClockChange("Europe/Berlin", Date.parse("2026-09-01T00:00:00Z"))).toEqual({
    atMs: Date.parse("2026-10-25T01:00:00Z"),
    from: "03:00",
    to: "02:00",
    back: true,
  });
  expect(nextClockChange("America/New_York", Date.parse("2026-01-01T00:00:00Z"))).toEqual({
    atMs: Date.parse("2026-03-08T07:00:00Z"),
    from: "02:00",
    to: "03:00",
    back: false,
  });
});
