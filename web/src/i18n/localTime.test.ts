import { expect, test } from "vitest";

import { fromLocalTime, toLocalTime } from "./localTime";

test("an instant survives the way through form fields, to the second", () => {
  const ms = new Date(2026, 0, 2, 3, 4, 5).getTime();
  expect(toLocalTime(ms)).toEqual({ date: "2026-01-02", time: "03:04:05" });
  expect(fromLocalTime(toLocalTime(ms))).toBe(ms);
});

test("incomplete fields are no instant", () => {
  expect(fromLocalTime({ date: "", time: "03:04:05" })).toBeNull();
  expect(fromLocalTime({ date: "2026-01-02", time: "03:" })).toBeNull();
  expect(fromLocalTime({ date: "2026-13-02", time: "03:04:05" })).toBeNull();
});
