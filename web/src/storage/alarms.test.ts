import { expect, test } from "vitest";

import type { Alarm } from "../api/evidenceTypes";
import { anyNew, criticalOf, findingsOf, keyOf, knownSlug, linkOf, sharesOf } from "./alarms";

const alarm = (change: Partial<Alarm> = {}): Alarm => ({
  slug: "camera_not_recorded",
  severity: "critical",
  text: "Porch: no answer",
  since: "2026-11-23T10:00:00Z",
  camera_id: "porch",
  volume: null,
  ...change,
});

test("an alarm leads to what it is about", () => {
  expect(linkOf(alarm())).toBe("/cameras/porch");
  expect(linkOf(alarm({ camera_id: null, volume: "/var/lib/vms" }))).toBe("/system#volumes");
});

test("what was put away comes back with another alarm, and not because its words changed", () => {
  const putAway = new Set([keyOf(alarm())]);
  expect(anyNew([alarm({ text: "Porch: refused" })], putAway)).toBe(false);
  expect(anyNew([alarm(), alarm({ camera_id: "gate" })], putAway)).toBe(true);
  expect(anyNew([], putAway)).toBe(false);
});

test("only what is critical is said loudly", () => {
  expect(criticalOf([alarm(), alarm({ severity: "warning" })])).toHaveLength(1);
});

test("an alarm of a newer server is shown in the server's words", () => {
  expect(knownSlug("tier_full")).toBe("tier_full");
  expect(knownSlug("on_fire")).toBeNull();
});

test("the bar of a volume never says more than all, nor more locked than used", () => {
  expect(sharesOf({ used_bytes: 50, quota_bytes: 100, locked_bytes: 10 })).toEqual({ used: 0.5, locked: 0.1 });
  expect(sharesOf({ used_bytes: 150, quota_bytes: 100, locked_bytes: 500 })).toEqual({ used: 1, locked: 1 });
  expect(sharesOf({ used_bytes: 1, quota_bytes: 0, locked_bytes: 0 })).toEqual({ used: 0, locked: 0 });
});

test("findings are told the worst first, and those of nothing are not", () => {
  expect(findingsOf({ found: { repaired: 2, missing: 1, empty: 0, whole: 9 } })).toEqual([
    { finding: "missing", count: 1 },
    { finding: "repaired", count: 2 },
  ]);
});
