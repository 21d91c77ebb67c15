/** Where a camera's sound can be heard in a browser. Pure. */

import type { LiveProtocol } from "../live/latencyWindow";

export type Sound = "heard" | "none" | "notLive" | "notRecorded";

/** WebRTC carries these (RFC 7874 §3); media sources play others, and WebCodecs all. */
const LIVE: Record<LiveProtocol, ReadonlySet<string>> = {
  webrtc: new Set(["opus", "pcmu", "pcma"]),
  websocket: new Set(["aac", "opus"]),
  hls: new Set(["aac", "opus"]),
  webtransport: new Set(["aac", "opus", "pcmu", "pcma"]),
};
const RECORDED = new Set(["aac", "opus"]);

/** `codec` as the API names it; `playback`: a recording is shown, not the present, which comes by `live`. */
export function soundOf(codec: string | null, playback: boolean, live: LiveProtocol = "webrtc"): Sound {
  if (codec === null) return "none";
  if (playback) return RECORDED.has(codec) ? "heard" : "notRecorded";
  return LIVE[live].has(codec) ? "heard" : "notLive";
}
