import { describe, expect, test } from "vitest";

import type { LiveOption } from "../api/types";
import { choose, insist, obstacle, supported } from "./ladder";

const option = (change: Partial<LiveOption>): LiveOption => ({
  protocol: "webrtc",
  stream: "main",
  url: "/whep",
  playable: true,
  reason: null,
  detail: "",
  mime_type: null,
  transcoded: false,
  ...change,
});
const webrtc = option({ playable: false, reason: "b_frames" });
const websocket = option({ protocol: "websocket", url: "ws://here/live", mime_type: 'video/mp4; codecs="avc1.4d401f"' });
const compat = option({ stream: "compat", transcoded: true });

describe("the ladder", () => {
  test("takes the first way that can be gone", () => {
    expect(choose([webrtc, websocket, compat], () => true)).toBe(websocket);
    expect(choose([option({}), websocket], () => true)?.protocol).toBe("webrtc");
  });

  test("leaves out what this browser does not decode, and what has no address", () => {
    expect(choose([webrtc, websocket, compat], () => false)).toBe(compat);
    expect(choose([webrtc, { ...websocket, url: null }], () => true)).toBeNull();
    expect(choose([option({ protocol: "hls" }), option({ protocol: "rtsp" })], () => true)).toBeNull();
  });

  test("says what stands against the best way when there is none", () => {
    expect(obstacle([webrtc, websocket])).toEqual({ code: "b_frames" });
    expect(obstacle([])).toEqual({ code: "unavailable" });
  });

  test("tells the server of H.265 only where it is played", () => {
    expect(supported((mime) => mime.includes("hvc1"))).toEqual(["h265"]);
    expect(supported(() => false)).toEqual([]);
  });

  test("never takes an experimental way by itself, and no other where the user insists on it", () => {
    const quic = option({ protocol: "webtransport", url: "https://here/api/live/porch" });
    expect(choose([webrtc, quic], () => true)).toBeNull();
    expect(insist([option({}), quic], "webtransport", true)).toBe(quic);
    expect(insist([option({}), quic], "webtransport", false)).toEqual({ code: "no_webtransport" });
    expect(insist([option({})], "webtransport", true)).toEqual({ code: "not_offered" });
    const away = { ...quic, url: null, playable: false, reason: "no_worker" };
    expect(insist([away], "webtransport", true)).toEqual({ code: "unavailable" });
    expect(insist([{ ...away, reason: "not_live" }], "webtransport", true)).toEqual({ code: "not_live" });
    expect(insist([{ ...away, reason: "unsupported" }], "webtransport", true)).toEqual({ code: "codec" });
  });
});
