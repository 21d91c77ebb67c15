import { expect, test } from "vitest";

import { type ExportForm, newExport, problemOf, stageKey, together } from "./exportForm";

const HOUR_MS = 3_600_000;
const form: ExportForm = {
  cameraIds: ["porch"],
  startMs: 0,
  endMs: 60_000,
  exact: true,
  burnIn: false,
  timeZone: "America/Sao_Paulo",
  archive: false,
  title: " Case 4711 ",
  note: "",
};

test("what is sent is what the API takes", () => {
  expect(newExport(form)).toEqual({
    cameras: ["porch"],
    start: "1970-01-01T00:00:00.000Z",
    end: "1970-01-01T00:01:00.000Z",
    exact: true,
    burn_in: null,
    archive: false,
    title: "Case 4711",
    note: "",
  });
  expect(newExport({ ...form, burnIn: true }).burn_in).toEqual({ time: true, time_zone: "America/Sao_Paulo" });
});

test("several cameras are an archive whatever was chosen", () => {
  expect(newExport({ ...form, cameraIds: ["porch", "gate"] }).archive).toBe(true);
});

test("what the API would refuse is said before", () => {
  expect(problemOf(form)).toBeNull();
  expect(problemOf({ ...form, cameraIds: [] })).toBe("noCamera");
  expect(problemOf({ ...form, cameraIds: Array.from({ length: 65 }, (_, n) => `c${n}`) })).toBe("tooManyCameras");
  expect(problemOf({ ...form, endMs: 0 })).toBe("reversed");
  expect(problemOf({ ...form, endMs: 25 * HOUR_MS })).toBeNull();
  expect(problemOf({ ...form, endMs: 25 * HOUR_MS + 1 })).toBe("tooLong");
});

test("the size of all cameras is known when that of each is", () => {
  const one = { recordedMs: 10, missingMs: 1, bytes: 100 };
  expect(together([one, one])).toEqual({ recordedMs: 20, missingMs: 2, bytes: 200 });
  expect(together([one, null])).toBeNull();
});

test("a stage that a newer server has added is shown in its own words", () => {
  expect(stageKey("making the clips")).toBe("clips");
  expect(stageKey("polishing")).toBeNull();
});
