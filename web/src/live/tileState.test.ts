import { describe, expect, test } from "vitest";

import type { Camera } from "../api/types";
import { INITIAL, type LiveState } from "./machine";
import { REASON_AFTER_MS, RECONNECTING_AFTER_MS, tileStatus } from "./tileState";

const camera = (change: Partial<Camera> = {}): Camera => ({
  id: "porch",
  name: "Front porch",
  source: "rtsp://192.0.2.10/stream1",
  sub_source: null,
  transport: "tcp",
  record: "continuous",
  retention: "30d",
  events: { kinds: ["motion"], pre_roll: "10s", post_roll: "30s" },
  schedule: null,
  retention_class: null,
  limits: { events: null, minimum: null, maximum: null, size: null },
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
  sub: null,
  recording: true,
  recording_state: "recording",
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

  test("waits, and has not failed, while nobody sends the camera's picture", () => {
    const unsent = camera({ state: "connecting", reason: "waits for a publisher", reason_code: "no_publisher" });
    expect(tileStatus(unsent, viewer({ phase: "idle" }))).toEqual({
      state: "waiting",
      cause: { from: "camera", code: "no_publisher", text: "waits for a publisher" },
    });
    expect(tileStatus(unsent, viewer({ phase: "live", silentMs: 0 })).state).toBe("live");
  });

  test("speaks of a firewall only while no picture ever came", () => {
    const failed = { phase: "waiting", problem: { code: "media" }, silentMs: REASON_AFTER_MS } as const;
    expect(tileStatus(camera(), viewer(failed)).cause).toMatchObject({ from: "viewer", code: "media" });
    expect(tileStatus(camera(), viewer({ ...failed, lastPictureMs: 1 })).cause).toMatchObject({ from: "viewer", code: "lost" });
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

  test("says that a stream cannot be played live once no way was found, and waits while that is unknown", () => {
    const bFrames = camera({ webrtc: { playable: false, reason: "b_frames", detail: "B-frames" } });
    expect(tileStatus(bFrames, viewer({ phase: "live" })).state).toBe("live");
    const given = viewer({ phase: "waiting", attempt: 1, problem: { code: "b_frames" } });
    expect(tileStatus(bFrames, given)).toMatchObject({ state: "unsupported", cause: { code: "b_frames" } });
    const unknown = camera({ webrtc: { playable: false, reason: null, detail: null } });
    expect(tileStatus(unknown, viewer({})).state).toBe("connecting");
  });

  test("tells why the viewer could not connect", () => {
    const waiting = viewer({ phase: "waiting", attempt: 1, problem: { code: "media" } });
    expect(tileStatus(camera(), waiting)).toMatchObject({ state: "failed", cause: { from: "viewer", code: "media" } });
    const refused = viewer({ phase: "waiting", attempt: 1, problem: { code: "codec" } });
    expect(tileStatus(camera(), refused)).toEqual({ state: "unsupported", cause: { from: "webrtc", code: "codec" } });
  });

  test("says nothing of a session that is mended at once, then that it reconnects, then why it takes so long", () => {
    const lost = { phase: "connecting", attempt: 1, lastPictureMs: 1, problem: { code: "frozen" } } as const;
    expect(tileStatus(camera(), viewer({ ...lost, silentMs: RECONNECTING_AFTER_MS - 1 })).state).toBe("live");
    for (const phase of ["connecting", "waiting"] as const) {
      const noticed = viewer({ ...lost, phase, silentMs: RECONNECTING_AFTER_MS });
      expect(tileStatus(camera(), noticed)).toEqual({ state: "reconnecting", cause: null });
    }
    expect(tileStatus(camera(), viewer({ ...lost, silentMs: REASON_AFTER_MS }))).toMatchObject({
      state: "reconnecting",
      cause: { from: "viewer", code: "frozen" },
    });
  });

  test("believes pictures that come more than a state that is older than they are", () => {
    const restarting = camera({ state: "connecting", reason: "restarting", reason_code: "worker_lost" });
    expect(tileStatus(restarting, viewer({ phase: "live", silentMs: 250 })).state).toBe("live");
    expect(tileStatus(restarting, viewer({ phase: "live", silentMs: 2_000 }))).toMatchObject({
      state: "failed",
      cause: { code: "worker_lost" },
    });
  });
});
