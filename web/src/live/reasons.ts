/** Why there is no live picture, in the reader's language. */
import type { TFunction } from "i18next";

import type { TileCause } from "./tileState";

const CAMERA_REASONS = [
  "unreachable",
  "unauthorized",
  "no_frames",
  "unsupported_codec",
  "protocol_error",
  "refused",
  "ended",
  "worker_lost",
  "no_publisher",
  "failed",
] as const;
type CameraReason = (typeof CAMERA_REASONS)[number];

function isCameraReason(code: string | null): code is CameraReason {
  return (CAMERA_REASONS as readonly (string | null)[]).includes(code);
}

export interface Reason {
  title: string;
  /** What can be done, or what the server said. */
  detail: string | null;
}

function cameraReason(code: CameraReason, text: string | null, t: TFunction<"live">): Reason {
  // `failed` is the one slug without a cause of its own: what the server said is all there is.
  const detail = code === "failed" && text !== null ? text : t(`camera.${code}.help`);
  return { title: t(`camera.${code}.title`), detail };
}

export function reasonFor(cause: TileCause, t: TFunction<"live">): Reason {
  switch (cause.from) {
    case "camera":
      return isCameraReason(cause.code)
        ? cameraReason(cause.code, cause.text, t)
        : { title: cause.text ?? t("camera.unknown"), detail: null };
    case "viewer":
      return { title: t(`viewer.${cause.code}.title`), detail: cause.text ?? t(`viewer.${cause.code}.help`) };
    case "webrtc":
      return { title: t(`webrtc.${cause.code}.title`), detail: t(`webrtc.${cause.code}.help`) };
  }
}
