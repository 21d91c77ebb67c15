import { expect, test } from "vitest";

import { adjacentMoment, eventMoments } from "./jump";

const LEAD = 3_000;
const moments = [50_000, 10_000, 30_000];

test("the next event is the first after what is shown and its lead", () => {
  expect(adjacentMoment(moments, 0, 1, LEAD)).toBe(10_000);
  expect(adjacentMoment(moments, 30_000, 1, LEAD)).toBe(50_000);
  expect(adjacentMoment(moments, 50_000, 1, LEAD)).toBeNull();
});

test("pressing again while an event's lead is shown goes on to the one after", () => {
  expect(adjacentMoment(moments, 30_000 - LEAD, 1, LEAD)).toBe(50_000);
  expect(adjacentMoment(moments, 30_000 - LEAD, -1, LEAD)).toBe(10_000);
});

test("going back from the middle of an event leads to its start", () => {
  expect(adjacentMoment(moments, 40_000, -1, LEAD)).toBe(30_000);
  expect(adjacentMoment(moments, 30_500, -1, LEAD)).toBe(10_000);
  expect(adjacentMoment(moments, 10_000, -1, LEAD)).toBeNull();
});

test("what the system tells of itself is no event", () => {
  const at = "2026-11-23T10:00:00Z";
  const kinds = ["motion", "camera_failed", "camera_live", "volume_full", "door_forced"];
  const spans = [{ startMs: 5, endMs: 9 }];
  expect(eventMoments(kinds.map((kind) => ({ at, kind })), spans)).toEqual([Date.parse(at), Date.parse(at), 5]);
});
