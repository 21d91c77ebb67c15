// @vitest-environment jsdom
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import type { LiveOption } from "../api/types";
import { FIRST_PICTURE_WITHIN_MS } from "./machine";
import { LivePlayer } from "./player";

/** A network that lets no WebRTC through: offers are answered, and nothing follows. */
class DeafPeer {
  connectionState = "new";
  localDescription = { sdp: "" };
  addTransceiver() {}
  createOffer() {
    return Promise.resolve({ type: "offer", sdp: "v=0\r\n" });
  }
  setLocalDescription() {
    return Promise.resolve();
  }
  setRemoteDescription() {
    return Promise.resolve();
  }
  getStats() {
    return Promise.resolve(new Map());
  }
  close() {}
}

class FakeSocket {
  static readonly OPEN = 1;
  static made: FakeSocket[] = [];
  readyState = 1;
  sent: string[] = [];
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: (() => void) | null = null;
  constructor(readonly url: string) {
    FakeSocket.made.push(this);
  }
  send(text: string) {
    this.sent.push(text);
  }
  close() {}
}

class FakeSource extends EventTarget {
  static types: (mime: string) => boolean = () => true;
  static isTypeSupported(mime: string) {
    return FakeSource.types(mime);
  }
  readyState = "open";
}

const MIME = 'video/mp4; codecs="avc1.4d401f"';
const options: LiveOption[] = (["webrtc", "websocket"] as const).flatMap((protocol) =>
  (["sub", "main"] as const).map((stream) => ({
    protocol,
    stream,
    url: protocol === "webrtc" ? `/whep?stream=${stream}` : `ws://here/live/porch?stream=${stream}`,
    playable: true,
    reason: null,
    detail: "",
    mime_type: protocol === "webrtc" ? null : MIME,
    transcoded: false,
  })),
);

const asked: string[] = [];
let preferred: "main" | "sub" = "sub";
let whepStatus = 201;

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(0);
  asked.length = 0;
  FakeSocket.made = [];
  preferred = "sub";
  whepStatus = 201;
  vi.stubGlobal("RTCPeerConnection", DeafPeer);
  vi.stubGlobal("MediaStream", EventTarget);
  vi.stubGlobal("MediaSource", FakeSource);
  vi.stubGlobal("WebSocket", FakeSocket);
  vi.stubGlobal("fetch", (address: string, init: RequestInit = {}) => {
    asked.push(`${init.method} ${address}`);
    if (init.method === "GET") {
      const ordered = options.toSorted((a, b) => Number(b.stream === preferred) - Number(a.stream === preferred));
      return Promise.resolve(Response.json({ camera_id: "porch", stream: preferred, options: ordered, ice_servers: [] }));
    }
    const body = whepStatus === 201 ? "v=0" : JSON.stringify({ reason: "codec" });
    const headers = { location: "http://here/s", "x-stream": "sub", "content-type": "application/json" };
    const response = new Response(body, { status: init.method === "POST" ? whepStatus : 200, headers });
    Object.defineProperty(response, "url", { value: `http://here${address}` });
    return Promise.resolve(response);
  });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

function watched(): LivePlayer {
  const player = new LivePlayer("porch");
  player.resize({ width: 320, height: 180 });
  player.setSource(true, null);
  player.want(true);
  return player;
}
/** Until an attempt without a path is given up and the next has begun. */
const attempt = () => vi.advanceTimersByTimeAsync(FIRST_PICTURE_WITHIN_MS + 2_000);
const greeting = (stream: string) => ({ data: JSON.stringify({ type: "hello", stream, epoch_ms: 1, tracks: [] }) });

test("after two attempts without a path the next way of the ladder is taken, and WebRTC again when begun afresh", async () => {
  const player = watched();
  await attempt();
  expect(asked.some((each) => each.startsWith("GET"))).toBe(false);
  expect(FakeSocket.made).toHaveLength(0);
  await attempt();
  expect(asked).toContain("GET /api/v1/cameras/porch/live?supports=h265&width=320&height=180");
  expect(FakeSocket.made.map(({ url }) => url)).toEqual(["ws://here/live/porch?stream=sub"]);
  FakeSocket.made[0]?.onmessage?.(greeting("sub"));
  expect(player.snapshot().view).toEqual({ protocol: "websocket", stream: "sub" });

  player.want(false);
  expect(player.snapshot().view).toBeNull();
  asked.length = 0;
  player.want(true);
  await vi.advanceTimersByTimeAsync(100);
  expect(asked).toEqual(["POST /api/v1/cameras/porch/whep?width=320&height=180"]);
  player.want(false);
});

test("over WebSocket, a tile of another size selects the stream that suits it, on the same connection", async () => {
  const player = watched();
  await attempt();
  await attempt();
  const [socket] = FakeSocket.made;
  socket?.onmessage?.(greeting("sub"));
  preferred = "main";
  player.resize({ width: 1920, height: 1080 });
  await vi.advanceTimersByTimeAsync(100);
  expect(socket?.sent).toEqual(['{"type":"select","stream":"main"}']);
  socket?.onmessage?.(greeting("main"));
  expect(player.snapshot().view?.stream).toBe("main");
  expect(FakeSocket.made).toHaveLength(1);
  player.want(false);
});

test("a stream that WebRTC turns out not to carry is watched in the next way at once", async () => {
  whepStatus = 409;
  const player = watched();
  await vi.advanceTimersByTimeAsync(100);
  expect(FakeSocket.made).toHaveLength(1);
  expect(player.snapshot().state).toMatchObject({ phase: "connecting", attempt: 1 });
  player.want(false);
});

test("when all ways have failed it waits, and begins from the top", async () => {
  whepStatus = 409;
  FakeSource.types = () => false;
  const player = watched();
  await vi.advanceTimersByTimeAsync(100);
  FakeSource.types = () => true;
  expect(FakeSocket.made).toHaveLength(0);
  expect(player.snapshot().state).toMatchObject({ phase: "waiting", problem: { code: "media" } });
  asked.length = 0;
  await vi.advanceTimersByTimeAsync(2_000);
  expect(asked[0]).toBe("POST /api/v1/cameras/porch/whep?width=320&height=180");
  player.want(false);
});
