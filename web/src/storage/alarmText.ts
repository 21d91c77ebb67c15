/** What an alarm is about, in the reader's language where the app has words for it, else in the server's. */
import type { TFunction } from "i18next";

import type { Alarm } from "../api/evidenceTypes";
import type { Camera } from "../api/types";
import { reasonFor } from "../live/reasons";

type AboutCamera = Pick<Camera, "id" | "name" | "state" | "reason" | "reason_code">;

/** A camera that is not recorded because it is not live says why as its tile does, and without its address. */
export function alarmText(alarm: Alarm, cameras: readonly AboutCamera[], t: TFunction<"live">): string {
  const camera = cameras.find(({ id }) => id === alarm.camera_id);
  if (alarm.slug !== "camera_not_recorded" || !camera || camera.state === "live" || camera.reason === null) {
    return alarm.text;
  }
  return `${camera.name}: ${reasonFor({ from: "camera", code: camera.reason_code, text: camera.reason }, t).title}`;
}
