/** What a tile says: one state from the camera's (API) and the viewer's (WHEP). Pure. */
import type { Camera } from "../api/types";
import { isUnsupported, type ProblemCode } from "./backOff";
import { isResuming, type LiveState } from "./machine";

export type TileState = "connecting" | "live" | "reconnecting" | "failed" | "waiting" | "stopped" | "stalled" | "unsupported";

/** lost: media stopped coming, though they did before; so nothing is in their way for good. */
type ViewerCode = Exclude<ProblemCode, "b_frames" | "codec"> | "lost";

export type TileCause =
  | { from: "camera"; code: string | null; text: string | null }
  | { from: "viewer"; code: ViewerCode; text: string | null }
  | { from: "webrtc"; code: "b_frames" | "codec" };

export interface TileStatus {
  state: TileState;
  cause: TileCause | null;
}

/** Of a camera that is sent to the system, not pulled by it: nobody sends it now. */
export const NO_PUBLISHER = "no_publisher";
/** Connecting without a word beyond this many attempts would hide that something is wrong. */
const SILENT_ATTEMPTS = 1;
/** Noticed and mended within this time, a lost session is not worth a word … */
export const RECONNECTING_AFTER_MS = 4_000;
/** … and lost for this long, the reason is. */
export const REASON_AFTER_MS = 15_000;
/** Pictures as new as this are coming. */
const COMING_MS = 2_000;

function viewerCause(live: LiveState): TileCause | null {
  const { problem } = live;
  if (problem === null) return null;
  const { code } = problem;
  if (code === "b_frames" || code === "codec") return { from: "webrtc", code };
  const played = live.lastPictureMs !== null;
  return { from: "viewer", code: code === "media" && played ? "lost" : code, text: problem.detail ?? null };
}

function resuming(live: LiveState): TileStatus {
  if (live.problem && isUnsupported(live.problem)) return { state: "unsupported", cause: viewerCause(live) };
  if (live.silentMs < RECONNECTING_AFTER_MS) return { state: "live", cause: null };
  return { state: "reconnecting", cause: live.silentMs < REASON_AFTER_MS ? null : viewerCause(live) };
}

function viewerStatus(live: LiveState): TileStatus {
  if (isResuming(live)) return resuming(live);
  switch (live.phase) {
    case "live":
      return { state: "live", cause: null };
    case "stalled":
      return { state: "stalled", cause: { from: "viewer", code: "frozen", text: null } };
    case "waiting":
      return {
        state: live.problem && isUnsupported(live.problem) ? "unsupported" : "failed",
        cause: viewerCause(live),
      };
    case "connecting":
    case "idle":
      return { state: "connecting", cause: live.attempt > SILENT_ATTEMPTS ? viewerCause(live) : null };
  }
}

export function tileStatus(camera: Camera, live: LiveState): TileStatus {
  const cause: TileCause = { from: "camera", code: camera.reason_code, text: camera.reason };
  switch (camera.state) {
    case "stopped":
    case "failed":
      return { state: camera.state, cause: camera.reason === null ? null : cause };
    case "connecting":
      // Pictures that come know better: this is as old as the last poll, or the API has just begun.
      if (live.phase === "live" && live.silentMs < COMING_MS) return { state: "live", cause: null };
      // Nothing is wrong: somebody has to send it.
      if (camera.reason_code === NO_PUBLISHER) return { state: "waiting", cause };
      // It tries again after a failure: the alarm stays until pictures come.
      return camera.reason === null ? { state: "connecting", cause: null } : { state: "failed", cause };
    case "live":
      // What WebRTC cannot carry is watched in another way (ladder.ts); when there is none, the viewer finds out.
      return viewerStatus(live);
  }
}
