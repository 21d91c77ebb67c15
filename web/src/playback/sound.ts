/** Where a camera's sound can be heard in a browser. Pure. */

export type Sound = "heard" | "none" | "notLive" | "notRecorded";

/** WebRTC carries these (RFC 7874 §3); media sources play others. */
const LIVE = new Set(["opus", "pcmu", "pcma"]);
const RECORDED = new Set(["aac", "opus"]);

/** `codec` as the API names it; `playback`: a recording is shown, not the present. */
export function soundOf(codec: string | null, playback: boolean): Sound {
  if (codec === null) return "none";
  if (playback) return RECORDED.has(codec) ? "heard" : "notRecorded";
  return LIVE.has(codec) ? "heard" : "notLive";
}
