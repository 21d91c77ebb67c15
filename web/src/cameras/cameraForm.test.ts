import { expect, test } from "vitest";

import type { Camera } from "../api/types";
import { type CameraForm, check, formOf, NEW_CAMERA, newCamera, patchOf, readRetention, serverErrors, slug } from "./cameraForm";

const filled: CameraForm = { ...NEW_CAMERA, id: "porch", name: "Front porch", source: "rtsp://u:p@192.0.2.10/1" };

test("an id is made of any name", () => {
  expect(slug("Portão nº 2 (fundos)")).toBe("portao-no-2-fundos");
  expect(slug("  --Übergang-- ")).toBe("ubergang");
  expect(slug("x".repeat(80))).toHaveLength(63);
  expect(slug("监控")).toBe("");
});

test("a complete form has nothing to complain of, and an empty one says what is missing", () => {
  expect(check(filled)).toEqual({});
  expect(check(NEW_CAMERA)).toEqual({ id: "id", name: "name", source: "source" });
  expect(check({ ...filled, id: "Not A Slug", source: "http://x", retention: "" })).toEqual({
    id: "id",
    source: "source",
    retention: "retention",
  });
});

test("what is sent is what the API takes", () => {
  expect(newCamera({ ...filled, name: " Front porch ", record: "off", retention: 12, retentionUnit: "h" })).toEqual({
    id: "porch",
    name: "Front porch",
    source: "rtsp://u:p@192.0.2.10/1",
    sub_source: null,
    transport: "tcp",
    record: "off",
    events: { kinds: ["motion", "alarm"], pre_roll: "10s", post_roll: "30s" },
    schedule: null,
    retention: "12h",
    retention_class: null,
    limits: { events: null, minimum: null, maximum: null, size: null },
  });
});

test("a sub stream is sent where one is written, taken away where it is emptied, and checked as the source is", () => {
  const both = { ...filled, subSource: " rtsp://u:p@192.0.2.10/2 " };
  expect(newCamera(both).sub_source).toBe("rtsp://u:p@192.0.2.10/2");
  expect(patchOf(both, { ...both, subSource: "" })).toEqual({ sub_source: null });
  expect(check({ ...filled, subSource: "http://x" })).toEqual({ subSource: "subSource" });
  expect(check({ ...filled, subSource: "srt://192.0.2.10:9000" })).toEqual({ subSource: "subSource" });
  expect(serverErrors({ sub_source: "must begin with rtsp://" })).toEqual({ subSource: "must begin with rtsp://" });
  expect(formOf({ ...stored, sub_source: "rtsp://192.0.2.10/2" }).subSource).toBe("rtsp://192.0.2.10/2");
});

test("a source may be pulled by RTSP, called by SRT, or published to us", () => {
  const good = ["rtsp://u:p@192.0.2.10/1", "SRT://192.0.2.10:9000", "srt://h:9000?streamid=yard&passphrase=0123456789"];
  for (const source of [...good, "srt://[2001:db8::1]:9000", "whip://publish"])
    expect(check({ ...filled, source })).toEqual({});
  for (const source of ["srt://h", "srt://:9000", "srt://h:9000/path", "whip://elsewhere", "udp://h:9000", "rtsp://"])
    expect(check({ ...filled, source })).toEqual({ source: "source" });
});

test("a change sends only what changed, so that a source that was not touched keeps its password", () => {
  expect(patchOf(filled, filled)).toEqual({});
  expect(patchOf(filled, { ...filled, name: "Porch", retention: 7 })).toEqual({ name: "Porch", retention: "7d" });
});

test("a retention is shown in whole days where it is some, else in hours", () => {
  expect(readRetention("30d")).toEqual({ retention: 30, retentionUnit: "d" });
  expect(readRetention("48h")).toEqual({ retention: 2, retentionUnit: "d" });
  expect(readRetention("90min")).toEqual({ retention: 1.5, retentionUnit: "h" });
});

const stored = {
  ...newCamera(filled),
  record: "events",
  events: { kinds: ["door_open"], pre_roll: "1min", post_roll: "500ms" },
  schedule: { time_zone: "Europe/Berlin", entries: [{ days: ["mon"], start: "08:00", end: "24:00", record: "events" }] },
  retention_class: "evidence",
  limits: { events: "90d", minimum: "12h", maximum: null, size: "1536MiB" },
} as unknown as Camera;

test("a camera's settings are shown in the units of the form, and nothing is sent of what was not touched", () => {
  const form = formOf(stored);
  expect(form).toMatchObject({ preRollS: 60, postRollS: 0.5, limitEvents: 90, limitMinimum: 0.5, limitMaximum: "", limitSize: 1.5 });
  expect(patchOf(form, { ...form, name: "Gate" })).toEqual({ name: "Gate" });
  expect(patchOf(form, { ...form, limitMaximum: 180 })).toEqual({
    limits: { events: "90d", minimum: "12h", maximum: "180d", size: "1.5GiB" },
  });
});

test("a schedule that is not in use is kept", () => {
  const form = formOf(stored);
  expect(patchOf(form, { ...form, record: "continuous" })).toEqual({ record: "continuous" });
  expect(newCamera({ ...filled, record: "schedule" }).schedule?.entries).toHaveLength(1);
});

test("what cannot be recorded so is said at its field", () => {
  expect(check({ ...filled, eventKinds: [], preRollS: 61, postRollS: "" })).toEqual({
    eventKinds: "kinds",
    preRollS: "preRoll",
    postRollS: "postRoll",
  });
  expect(check({ ...filled, eventKinds: ["Motion!"] })).toEqual({ eventKinds: "kinds" });
  expect(check({ ...filled, limitEvents: 0, limitMinimum: 10, limitMaximum: 5, retentionClass: "A" })).toEqual({
    limitEvents: "limit",
    limitMaximum: "limitOrder",
    retentionClass: "retentionClass",
  });
});

test("a schedule must be whole where it is in use", () => {
  const broken = { timeZone: "", entries: [{ days: [], start: "", end: "18:00", record: "continuous" as const }] };
  expect(check({ ...filled, schedule: broken })).toEqual({});
  expect(check({ ...filled, schedule: broken, record: "schedule" })).toEqual({ schedule: "schedule" });
  expect(check({ ...filled, schedule: { timeZone: "", entries: [] }, record: "schedule" })).toEqual({ schedule: "schedule" });
});

test("what the server refuses stands at the field of the form", () => {
  expect(serverErrors({ retention_class: "no such", pre_roll: "too long", name: "empty", body: "?" })).toEqual({
    retentionClass: "no such",
    preRollS: "too long",
    name: "empty",
  });
});
