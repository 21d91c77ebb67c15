import { afterEach, beforeEach, expect, test, vi } from "vitest";

import type { LiveEvents } from "./session";
import { WebTransportSession } from "./webTransport";

const CONFIG = { generation: 1, stream: "main", codec: "avc1.42c01f", description: "AQ==", width: 2, height: 2, clock_rate: 90_000 };

class FakeTransport {
  static made: FakeTransport;
  begin!: () => void;
  end!: () => void;
  send!: (message: Uint8Array) => void;
  readonly ready = new Promise<void>((resolve) => (this.begin = resolve));
  readonly closed = new Promise<void>((resolve) => (this.end = resolve));
  readonly incomingUnidirectionalStreams = new ReadableStream({
    start: (controller) => {
      this.send = (message) => controller.enqueue(new Blob([message as BlobPart]).stream());
    },
  });
  readonly datagrams = { readable: new ReadableStream() };

  constructor() {
    FakeTransport.made = this;
  }
  close() {
    this.end();
  }
}

class FakeDecoder {
  static made: FakeDecoder[] = [];
  static isConfigSupported = vi.fn<() => Promise<{ supported: boolean }>>();
  state = "unconfigured";
  decodeQueueSize = 0;
  readonly chunks: string[] = [];

  constructor(readonly on: { output: (frame: VideoFrame) => void; error: () => void }) {
    FakeDecoder.made.push(this);
  }
  configure() {
    this.state = "configured";
  }
  decode(chunk: { type: string }) {
    this.chunks.push(chunk.type);
  }
  close() {
    this.state = "closed";
  }
}

const writer = { desiredSize: 1, write: async () => undefined, close: async () => undefined };

class FakeGenerator {
  readonly writable = { getWriter: () => writer };
  stop() {}
}

function frame() {
  return { close: vi.fn<() => void>() } as unknown as VideoFrame & { close: ReturnType<typeof vi.fn> };
}

function config(fields: unknown): Uint8Array {
  return new Uint8Array([0, ...new TextEncoder().encode(JSON.stringify(fields))]);
}

function picture(sequenceNumber: number, flags: number): Uint8Array {
  const data = new DataView(new ArrayBuffer(41));
  data.setUint8(0, 1);
  data.setUint8(1, flags);
  data.setUint16(2, 1);
  data.setUint32(4, sequenceNumber);
  return new Uint8Array(data.buffer);
}

const events = {
  onStream: vi.fn<LiveEvents["onStream"]>(),
  onView: vi.fn<LiveEvents["onView"]>(),
  onFailed: vi.fn<LiveEvents["onFailed"]>(),
};
let session: WebTransportSession;

async function opened(): Promise<FakeTransport> {
  const opening = session.open();
  FakeTransport.made.begin();
  await opening;
  return FakeTransport.made;
}

beforeEach(() => {
  FakeDecoder.made = [];
  writer.desiredSize = 1;
  FakeDecoder.isConfigSupported.mockResolvedValue({ supported: true });
  vi.stubGlobal("WebTransport", FakeTransport);
  vi.stubGlobal("VideoDecoder", FakeDecoder);
  vi.stubGlobal("MediaStreamTrackGenerator", FakeGenerator);
  vi.stubGlobal("MediaStream", EventTarget);
  vi.stubGlobal(
    "EncodedVideoChunk",
    class {
      readonly type: string;
      constructor(init: { type: string }) {
        this.type = init.type;
      }
    },
  );
  session = new WebTransportSession("https://vms.example:4433/", [], events);
});
afterEach(() => {
  session.close();
  vi.unstubAllGlobals();
  vi.resetAllMocks();
});

test("a message that makes no sense ends the attempt", async () => {
  const transport = await opened();
  transport.send(new Uint8Array([0, 123]));
  await vi.waitFor(() => expect(events.onFailed).toHaveBeenCalledWith({ code: "media" }));
});

test("so does a config that the browser cannot even judge", async () => {
  FakeDecoder.isConfigSupported.mockRejectedValue(new TypeError("no such codec"));
  const transport = await opened();
  transport.send(config(CONFIG));
  await vi.waitFor(() => expect(events.onFailed).toHaveBeenCalledWith({ code: "media" }));
});

test("a session that is closed while it connects shows nothing", async () => {
  const opening = session.open();
  session.close();
  FakeTransport.made.begin();
  await opening;
  expect(events.onStream).not.toHaveBeenCalled();
  expect(events.onFailed).not.toHaveBeenCalled();
  expect(FakeDecoder.made).toEqual([]);
});

test("pictures count as decoded when they are shown, and those that come too late are let go of", async () => {
  await opened();
  const decoder = FakeDecoder.made[0];
  decoder?.on.output(frame());
  writer.desiredSize = 0;
  const refused = frame();
  decoder?.on.output(refused);
  expect(await session.stats()).toMatchObject({ framesDecoded: 1, framesDropped: 1 });
  session.close();
  const late = frame();
  decoder?.on.output(late);
  expect(refused.close).toHaveBeenCalledOnce();
  expect(late.close).toHaveBeenCalledOnce();
});

test("after a picture that cannot be decoded it goes on at a key picture, once", async () => {
  const transport = await opened();
  transport.send(config(CONFIG));
  transport.send(picture(0, 3));
  await vi.waitFor(() => expect(FakeDecoder.made[0]?.chunks).toEqual(["key"]));
  FakeDecoder.made[0]?.on.error();
  transport.send(picture(1, 0));
  transport.send(picture(2, 1));
  await vi.waitFor(() => expect(FakeDecoder.made[1]?.chunks).toEqual(["key"]));
  expect(events.onFailed).not.toHaveBeenCalled();
  FakeDecoder.made[1]?.on.error();
  expect(events.onFailed).toHaveBeenCalledWith({ code: "media" });
});
