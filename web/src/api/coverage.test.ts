import { expect, test } from "vitest";

import { ApiError, Unreachable } from "./client";
import { isAbsent, readCoverage } from "./coverage";

const span = { start: "2026-11-23T10:00:00Z", end: "2026-11-23T10:00:01.5Z" };
const startMs = Date.parse(span.start);

test("coverage is read by camera, with events and locks", () => {
  const read = readCoverage({ cameras: [{ id: "porch", spans: [span], event_spans: [span, span], locked: [] }] });
  const expected = { startMs, endMs: startMs + 1500 };
  expect(read.get("porch")).toEqual({ spans: [expected], events: [expected, expected], locked: [] });
  expect(read.get("gate")).toBeUndefined();
});

test("a server that has no such route is told apart from one that is away", () => {
  expect([404, 501, 503, 401].map((status) => isAbsent(new ApiError(status, {})))).toEqual([true, true, false, false]);
  expect(isAbsent(new Unreachable("away"))).toBe(false);
});
