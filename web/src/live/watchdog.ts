/**
 * Whether a view that gets no new picture is broken, or its camera is silent. Pure.
 *
 * A process that was killed says no goodbye: its UDP port falls silent. A camera that is silent
 * looks the same from its pictures alone, and connecting anew would show its last seconds again as
 * if they were the present. So one sign more is asked for.
 */

export interface Signs {
  /** The camera delivers, as the API says, and since when. */
  sourceUp: boolean;
  sourceUpSinceMs: number;
  /** When the API last told of a picture of the camera that is newer than the one before. */
  deliversAtMs: number;
  lastFrameMs: number;
  /** When anything last came from the server: media, reports, answers to STUN checks. */
  lastHeardMs: number;
}

/** No picture for this long asks for a reason. */
export const SILENT_AFTER_MS = 2_000;
/**
 * Browsers check that the server is there (RFC 7675) every 2.5 s where no media flows (Chromium; measured:
 * 2.6 s at most), so one that says nothing for longer is gone.
 */
export const SERVER_GONE_AFTER_MS = 2_750;
/** Two polls of the API: pictures that the camera delivered this long after the last one here did not come. */
export const DELIVERS_AFTER_MS = 4_000;

/** True when only a new session can bring pictures. */
export function isBroken(signs: Signs, nowMs: number): boolean {
  const { sourceUp, sourceUpSinceMs, deliversAtMs, lastFrameMs, lastHeardMs } = signs;
  if (!sourceUp || nowMs - Math.max(lastFrameMs, sourceUpSinceMs) < SILENT_AFTER_MS) return false;
  const serverGone = nowMs - lastHeardMs >= SERVER_GONE_AFTER_MS;
  const cameraIsBack = sourceUpSinceMs > lastFrameMs;
  const cameraDelivers = deliversAtMs - lastFrameMs >= DELIVERS_AFTER_MS;
  return serverGone || cameraIsBack || cameraDelivers;
}
