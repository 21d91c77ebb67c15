import { expect, test } from "vitest";

import type { VerifiedSegment } from "../api/evidenceTypes";
import { counted, fingerprintText, rangeVerdict, verdictOf, Verdicts } from "./verdict";

const AT = Date.parse("2026-11-23T10:00:00Z");
const segment = (change: Partial<VerifiedSegment> = {}): VerifiedSegment => ({
  id: "1",
  start: "2026-11-23T10:00:00Z",
  end: "2026-11-23T10:01:00Z",
  state: "verified",
  signed_at: "2026-11-23T10:01:00Z",
  node: "vms-1",
  key_fingerprint: "ab12cd34",
  recovered: false,
  follows: true,
  detail: "",
  ...change,
});

test("a recording that repair signed after a crash is not said to be signed as it was written", () => {
  expect(verdictOf(segment())).toBe("verified");
  expect(verdictOf(segment({ recovered: true }))).toBe("recovered");
  expect(verdictOf(segment({ recovered: true, state: "changed" }))).toBe("changed");
});

test("one changed recording is said of the whole range", () => {
  const verified = segment();
  expect(rangeVerdict([])).toBe("nothing");
  expect(rangeVerdict([verified, verified])).toBe("verified");
  expect(rangeVerdict([verified, segment({ recovered: true })])).toBe("recovered");
  expect(rangeVerdict([verified, segment({ state: "recording" })])).toBe("partly");
  expect(rangeVerdict([segment({ state: "unsigned" }), segment({ state: "recording" })])).toBe("unsigned");
  expect(rangeVerdict([verified, segment({ state: "unreadable" })])).toBe("unreadable");
  expect(rangeVerdict([verified, segment({ state: "unreadable" }), segment({ state: "changed" })])).toBe("changed");
});

test("recordings are counted by what is said of them", () => {
  expect(counted([segment(), segment({ state: "unsigned" }), segment()])).toEqual([
    { verdict: "verified", count: 2 },
    { verdict: "unsigned", count: 1 },
  ]);
});

test("a fingerprint is written to be compared by eye", () => {
  expect(fingerprintText("ab12cd34e")).toBe("AB12 CD34 E");
});

test("a verdict is kept for a while, one of a recording that grows for a moment", () => {
  const verdicts = new Verdicts();
  verdicts.put({ state: "verified", segments: [segment()] }, AT, 0);
  expect(verdicts.find(AT + 59_999, 60_000)).toEqual({ segment: segment(), fresh: true });
  expect(verdicts.find(AT + 60_000, 60_000)).toBeUndefined();
  expect(verdicts.find(AT, 60_001)?.fresh).toBe(false);
  verdicts.put({ state: "partial", segments: [segment({ state: "recording" })] }, AT, 0);
  expect(verdicts.find(AT + 64_999, 5_000)?.fresh).toBe(true);
  expect(verdicts.find(AT, 5_001)?.fresh).toBe(false);
});

test("that nothing is recorded at a time is known near it alone", () => {
  const verdicts = new Verdicts();
  verdicts.put({ state: "unverified", segments: [] }, AT, 0);
  expect(verdicts.find(AT, 1)).toEqual({ segment: null, fresh: true });
  expect(verdicts.find(AT + 3_000, 1)).toBeUndefined();
});

test("a newer answer counts, and what is forgotten is asked for anew", () => {
  const verdicts = new Verdicts();
  verdicts.put({ state: "verified", segments: [segment()] }, AT, 0);
  verdicts.put({ state: "changed", segments: [segment({ state: "changed" })] }, AT, 10);
  expect(verdicts.find(AT, 20)?.segment?.state).toBe("changed");
  verdicts.forget();
  expect(verdicts.find(AT, 20)).toBeUndefined();
});
