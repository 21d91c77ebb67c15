import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { ApiError, Unreachable } from "../api/client";
import { problemOf, WhepSession, withReferenceTime } from "./whep";

const OFFER = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\n";
const HERE = "https://vms.example/api/v1/cameras/porch/whep";

class FakePeer {
  static made: FakePeer[] = [];
  connectionState = "new";
  localDescription: { sdp: string } | null = null;
  remote: string | null = null;
  kinds: string[] = [];
  closed = false;
  ontrack = null;
  onconnectionstatechange: (() => void) | null = null;

  constructor(readonly options: unknown = null) {
    FakePeer.made.push(this);
  }
  addTransceiver(kind: string) {
    this.kinds.push(kind);
  }
  async createOffer() {
    return { type: "offer", sdp: OFFER };
  }
  async setLocalDescription(description: { sdp: string }) {
    this.localDescription = description;
  }
  async setRemoteDescription({ sdp }: { sdp: string }) {
    this.remote = sdp;
  }
  close() {
    this.closed = true;
  }
}

function answer(): Response {
  const response = new Response("v=0 answer", { status: 201, headers: { location: "whep/abc" } });
  Object.defineProperty(response, "url", { value: HERE });
  return response;
}

const fetchMock = vi.fn<typeof fetch>();
const events = { onStream: vi.fn<() => void>(), onView: vi.fn<(view: unknown) => void>(), onFailed: vi.fn<(problem: unknown) => void>() };

beforeEach(() => {
  FakePeer.made = [];
  vi.stubGlobal("RTCPeerConnection", FakePeer);
  vi.stubGlobal("MediaStream", EventTarget);
  vi.stubGlobal("fetch", fetchMock);
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.resetAllMocks();
});

test("offers video and audio, takes the answer, and deletes the session when it is closed", async () => {
  fetchMock.mockResolvedValueOnce(answer()).mockResolvedValueOnce(new Response(null, { status: 204 }));
  const session = new WhepSession(HERE, events);
  await session.open();
  const [peer] = FakePeer.made;
  expect(peer?.kinds).toEqual(["video", "audio"]);
  expect(peer?.remote).toBe("v=0 answer");
  expect(fetchMock.mock.calls[0]?.[1]).toMatchObject({
    method: "POST",
    headers: { "content-type": "application/sdp" },
  });
  session.close();
  session.close();
  await vi.waitFor(() => expect(peer?.closed).toBe(true));
  expect(fetchMock).toHaveBeenCalledTimes(2);
  expect(fetchMock).toHaveBeenLastCalledWith(
    "https://vms.example/api/v1/cameras/porch/whep/abc",
    expect.objectContaining({ method: "DELETE", keepalive: true }),
  );
});

test("closed while the answer is on its way, it still deletes the session", async () => {
  let arrive: (response: Response) => void = () => undefined;
  fetchMock.mockImplementation((_, init) =>
    init?.method === "POST"
      ? new Promise((resolve) => (arrive = resolve))
      : Promise.resolve(new Response(null, { status: 204 })),
  );
  const session = new WhepSession(HERE, events);
  const opened = session.open();
  await vi.waitFor(() => expect(fetchMock).toHaveBeenCalled());
  session.close();
  arrive(answer());
  await opened;
  expect(fetchMock).toHaveBeenLastCalledWith(expect.stringContaining("/whep/abc"), expect.objectContaining({ method: "DELETE" }));
  expect(FakePeer.made[0]?.remote).toBeNull();
  expect(events.onFailed).not.toHaveBeenCalled();
});

test("tells why it was refused", async () => {
  const body = JSON.stringify({ title: "Conflict", detail: "the stream has B-frames", reason: "b_frames" });
  fetchMock.mockResolvedValueOnce(
    new Response(body, { status: 409, headers: { "content-type": "application/problem+json" } }),
  );
  await new WhepSession(HERE, events).open();
  expect(events.onFailed).toHaveBeenCalledWith({ code: "b_frames" });
});

test("a media path that breaks is a failure; one that is closed here is none", async () => {
  fetchMock.mockResolvedValue(answer());
  const session = new WhepSession(HERE, events);
  await session.open();
  const [peer] = FakePeer.made;
  for (const state of ["disconnected", "failed"]) {
    if (peer) peer.connectionState = state;
    peer?.onconnectionstatechange?.();
    expect(events.onFailed).toHaveBeenLastCalledWith({ code: "media" });
  }
  session.close();
  peer?.onconnectionstatechange?.();
  expect(events.onFailed).toHaveBeenCalledTimes(2);
});

test("asks for reference times in the video section alone", () => {
  const [, audio, video] = withReferenceTime(OFFER).split("m=");
  expect(audio).not.toContain("rrtr");
  expect(video).toContain("a=rtcp-fb:* rrtr\r\n");
});

test("an error without an answer is the network's", () => {
  expect(problemOf(new Unreachable("gone"))).toEqual({ code: "network" });
  expect(problemOf(new DOMException("too late", "TimeoutError"))).toEqual({ code: "network" });
  expect(problemOf(new ApiError(503, { detail: "no room" }))).toEqual({ code: "unavailable", detail: "no room" });
  expect(problemOf(new ApiError(404, { detail: "no camera" }))).toEqual({ code: "refused", detail: "no camera" });
  expect(problemOf(new ApiError(409, { reason: "not_live" }, 2_000))).toEqual({ code: "not_live", retryAfterMs: 2_000 });
});

test("a server that is away for now says when to come back", async () => {
  const headers = { "content-type": "application/problem+json", "retry-after": "2" };
  fetchMock.mockResolvedValueOnce(new Response(JSON.stringify({ detail: "no stream process" }), { status: 503, headers }));
  await new WhepSession(HERE, events).open();
  expect(events.onFailed).toHaveBeenCalledWith({ code: "unavailable", detail: "no stream process", retryAfterMs: 2_000 });
});

test("whatever comes from the server counts as a sign of life, in any browser's words", async () => {
  const session = new WhepSession(HERE, events);
  const [peer] = FakePeer.made;
  const reports = [
    { type: "inbound-rtp", kind: "video", framesDecoded: 5, packetsReceived: 40, bytesReceived: 4_000 },
    { type: "candidate-pair", responsesReceived: 3 },
    { type: "transport", bytesSent: 900 },
  ];
  Object.assign(peer ?? {}, { getStats: async () => new Map(reports.map((report) => [report.type, report])) });
  expect(await session.stats()).toMatchObject({ framesDecoded: 5, bytes: 4_000, heard: 43 });
});

function viewAnswer(stream: string): Response {
  return Response.json({ stream });
}

function started(headers: Record<string, string> = {}): Response {
  const response = new Response("v=0 answer", { status: 201, headers: { location: "whep/abc", "x-stream": "sub", ...headers } });
  Object.defineProperty(response, "url", { value: HERE });
  return response;
}

test("a tile's size is told with the offer, and its new one to the session", async () => {
  fetchMock.mockResolvedValueOnce(started()).mockResolvedValueOnce(viewAnswer("main"));
  const session = new WhepSession(HERE, events, [], { width: 320, height: 180 });
  await session.open();
  expect(fetchMock.mock.calls[0]?.[0]).toBe(`${HERE}?width=320&height=180`);
  expect(events.onView).toHaveBeenLastCalledWith({ protocol: "webrtc", stream: "sub" });
  session.resize({ width: 320, height: 180 });
  session.resize({ width: 1920, height: 1080 });
  await vi.waitFor(() => expect(events.onView).toHaveBeenLastCalledWith({ protocol: "webrtc", stream: "main" }));
  expect(fetchMock).toHaveBeenCalledTimes(2);
  const [address, init] = fetchMock.mock.calls[1] ?? [];
  expect(address).toBe(`${HERE}/abc/view`);
  expect(init).toMatchObject({ method: "PUT", body: '{"width":1920,"height":1080}' });
});

test("of sizes that come while one is being told, only the newest is", async () => {
  let answer: (response: Response) => void = () => undefined;
  fetchMock.mockResolvedValueOnce(started()).mockReturnValueOnce(new Promise((resolve) => (answer = resolve)));
  const session = new WhepSession(HERE, events, [], { width: 320, height: 180 });
  await session.open();
  for (const width of [400, 800, 1_600]) session.resize({ width, height: 900 });
  fetchMock.mockResolvedValueOnce(viewAnswer("main"));
  answer(viewAnswer("sub"));
  await vi.waitFor(() => expect(fetchMock).toHaveBeenCalledTimes(3));
  expect(fetchMock.mock.calls.slice(1).map(([, init]) => init?.body)).toEqual([
    '{"width":400,"height":900}',
    '{"width":1600,"height":900}',
  ]);
});

test("a size that comes while it opens is told once there is a session, and one that is refused leaves the picture", async () => {
  let arrive: (response: Response) => void = () => undefined;
  fetchMock.mockReturnValueOnce(new Promise((resolve) => (arrive = resolve)));
  fetchMock.mockResolvedValueOnce(new Response("{}", { status: 409 }));
  const session = new WhepSession(HERE, events, [], { width: 320, height: 180 });
  const opened = session.open();
  await vi.waitFor(() => expect(fetchMock).toHaveBeenCalled());
  session.resize({ width: 1920, height: 1080 });
  arrive(started());
  await opened;
  await vi.waitFor(() => expect(fetchMock).toHaveBeenCalledTimes(2));
  expect(events.onFailed).not.toHaveBeenCalled();
  expect(session.view.stream).toBe("sub");
});

test("servers that the first answer names are used at once, and known to the next session", async () => {
  const link = '<turn:turn.example>; rel="ice-server"; username="u"; credential="c"';
  fetchMock.mockImplementation((_, init) =>
    Promise.resolve(init?.method === "POST" ? started({ link }) : new Response(null, { status: 204 })),
  );
  await new WhepSession(HERE, events).open();
  expect(fetchMock.mock.calls.map(([, init]) => init?.method)).toEqual(["POST", "DELETE", "POST"]);
  const [first, second] = FakePeer.made;
  expect([first?.closed, second?.closed]).toEqual([true, false]);
  expect(second?.options).toMatchObject({ iceServers: [{ urls: "turn:turn.example", username: "u", credential: "c" }] });
  await new WhepSession(HERE, events).open();
  expect(fetchMock).toHaveBeenCalledTimes(4);
  expect(FakePeer.made[2]?.options).toMatchObject({ iceServers: [{ urls: "turn:turn.example" }] });
});
