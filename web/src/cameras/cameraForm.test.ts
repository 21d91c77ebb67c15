import { expect, test } from "vitest";

import { type CameraForm, check, NEW_CAMERA, newCamera, patchOf, readRetention, slug } from "./cameraForm";

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
  expect(newCamera({ ...filled, name: " Front porch ", record: false, retention: 12, retentionUnit: "h" })).toEqual({
    id: "porch",
    name: "Front porch",
    source: "rtsp://u:p@192.0.2.10/1",
    transport: "tcp",
    record: "off",
    retention: "12h",
  });
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
