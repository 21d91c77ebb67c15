import type { TFunction } from "i18next";
import { expect, test } from "vitest";

import type { Alarm } from "../api/evidenceTypes";
import { alarmText } from "./alarmText";

const t = ((key: string) => `[${key}]`) as unknown as TFunction<"live">;
const alarm: Alarm = {
  slug: "camera_not_recorded",
  severity: "critical",
  text: "Porch: porch (rtsp://192.0.2.10/): no answer",
  since: "2026-11-23T10:00:00Z",
  camera_id: "porch",
  volume: null,
};
const porch = { id: "porch", name: "Porch", state: "failed", reason: "no answer", reason_code: "unreachable" } as const;

test("a camera that does not deliver says why in the reader's language", () => {
  expect(alarmText(alarm, [porch], t)).toBe("Porch: [camera.unreachable.title]");
});

test("what the app has no words for is said as the server says it", () => {
  expect(alarmText(alarm, [{ ...porch, reason_code: "new_reason" }], t)).toBe("Porch: no answer");
});

test("a camera that is live, or not known, and another alarm keep the server's words", () => {
  expect(alarmText(alarm, [{ ...porch, state: "live", reason: null, reason_code: null }], t)).toBe(alarm.text);
  expect(alarmText(alarm, [], t)).toBe(alarm.text);
  expect(alarmText({ ...alarm, slug: "full" }, [porch], t)).toBe(alarm.text);
});
