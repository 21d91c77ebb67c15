import { describe, expect, test } from "vitest";

import type { Camera } from "../api/types";
import { INITIAL, type LiveState } from "./machine";
import { tileStatus } from "./tileState";

const camera = (change: Partial<Camera> = {}): Camera => ({
  id: "porch",
  name: "Front porch",
  source: "rtsp://192.0.2.10/stream1",
  transport: "tcp",
  record: "continuous",
  retention: "30d",
  managed_by: "api",
  state: "live",
  reason: null,
  reason_code: null,
  codec: "h264",
  width: 1920,
  height: 1080,
  fps: 25,
  bitrate: 4_000_000,
  audio: null,
  last_frame_at: null,
  recording: true,
  recording_error: null,
  viewers: 0,
  webrtc: { playable: true, reason: null, detail: null },
  ...change,
});
const viewer = (change: Partial<LiveState>): LiveState => ({ ...INITIAL, wanted: true, sourceUp: true, ...change });

describe("a tile", () => {
  test("is live only when pictures come", () => {
    expect(tileStatus(camera(), viewer({ phase: "live" })).state).toBe("live");
    expect(tileStatus(camera(), viewer({ phase: "connecting" })).state).toBe("connecting");
    expect(tileStatus(camera(), viewer({ phase: "stalled" })).state).toBe("stalled");
  });

  test("says the camera's reason first", () => {
    const failed = camera({ state: "failed", reason: "no answer", reason_code: "unreachable" });
    expect(tileStatus(failed, viewer({ phase: "stalled" }))).toEqual({
      state: "failed",
      cause: { from: "camera", code: "unreachable", text: "no answer" },
    });
  });

  test("stays failed while the camera is tried again", () => {
    const again = camera({ state: "connecting", reason: "no answer", reason_code: "unreachable" });
    expect(tileStatus(again, viewer({})).state).toBe("failed");
    expect(tileStatus(camera({ state: "connecting" }), viewer({})).state).toBe("connecting");
  });

  test("says that a stream cannot be played live, and waits while that is unknown", () => {
    const bFrames = camera({ webrtc: { playable: false, reason: "b_frames", detail: "B-frames" } });
    expect(tileStatus(bFrames, viewer({}))).toMatchObject({ state: "unsupported", cause: { code: "b_frames" } });
    const unknown = camera({ webrtc: { playable: false, reason: null, detail: null } });
    expect(tileStatus(unknown, viewer({})).state).toBe("connecting");
  });

  test("tells why the viewer could not connect", () => {
    const waiting = viewer({ phase: "waiting", attempt: 1, problem: { code: "media" } });
    expect(tileStatus(camera(), waiting)).toMatchObject({ state: "failed", cause: { from: "viewer", code: "media" } });
    const refused = viewer({ phase: "waiting", attempt: 1, problem: { code: "codec" } });
    expect(tileStatus(camera(), refused)).toEqual({ state: "unsupported", cause: { from: "webrtc", code: "codec" } });
  });
});
