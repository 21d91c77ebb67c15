import { expect, test } from "vitest";

import { fromLocalTime, toLocalTime } from "./localTime";

const SITE = "Europe/Berlin";

test("an instant survives the way through form fields, to the second", () => {
  const ms = Date.parse("2026-01-02T02:04:05Z");
  expect(toLocalTime(SITE, ms)).toEqual({ date: "2026-01-02", time: "03:04:05" });
  expect(fromLocalTime(SITE, toLocalTime(SITE, ms))).toBe(ms);
});

test("the same fields are another instant in another zone", () => {
  const fields = { date: "2026-07-01", time: "12:00:00" };
  expect(fromLocalTime(SITE, fields)).toBe(Date.parse("2026-07-01T10:00:00Z"));
  expect(fromLocalTime("America/Sao_Paulo", fields)).toBe(Date.parse("2026-07-01T15:00:00Z"));
});

test("incomplete fields are no instant", () => {
  expect(fromLocalTime(SITE, { date: "", time: "03:04:05" })).toBeNull();
  expect(fromLocalTime(SITE, { date: "2026-01-02", time: "03:" })).toBeNull();
  expect(fromLocalTime(SITE, { date: "2026-13-02", time: "03:04:05" })).toBeNull();
});
