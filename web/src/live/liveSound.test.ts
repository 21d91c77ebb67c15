import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { CaptureClock } from "./captureClock";
import { LiveSound } from "./liveSound";
import type { EncodedSound } from "./webTransportMessages";

const CONFIG = { generation: 1, clockRate: 8_000, decoder: { codec: "ulaw", sampleRate: 8_000, numberOfChannels: 1 } };

class FakeDecoder {
  static made: FakeDecoder[] = [];
  static isConfigSupported = vi.fn<() => Promise<{ supported: boolean }>>();
  state = "configured";
  decodeQueueSize = 0;
  readonly decoded: number[] = [];
  constructor(readonly on: { output: (data: unknown) => void; error: () => void }) {
    FakeDecoder.made.push(this);
  }
  configure() {}
  decode(chunk: { timestamp: number }) {
    this.decoded.push(chunk.timestamp);
  }
  close() {
    this.state = "closed";
  }
}

class FakeContext {
  static made: FakeContext[] = [];
  static started: number[] = [];
  state = "running";
  currentTime = 0;
  constructor() {
    FakeContext.made.push(this);
  }
  createMediaStreamDestination = () => ({ stream: { getAudioTracks: () => ["sound"], getTracks: () => [] } });
  createBuffer = () => ({ getChannelData: () => new Float32Array(320) });
  createBufferSource = () => ({ connect: () => undefined, start: (at: number) => FakeContext.started.push(at) });
  resume = vi.fn<() => Promise<void>>(() => Promise.resolve());
  suspend = vi.fn<() => Promise<void>>(() => Promise.resolve());
  close = vi.fn<() => Promise<void>>(() => Promise.resolve());
}

const addTrack = vi.fn<(track: unknown) => void>();
let sound: LiveSound;

function frame(sequenceNumber: number, generation = 1): EncodedSound {
  return {
    generation,
    sequenceNumber,
    capturedMs: sequenceNumber * 40,
    sentMs: 0,
    pts: sequenceNumber * 320,
    data: new Uint8Array(320),
  };
}

function decoded(timestamp: number) {
  return { timestamp, numberOfChannels: 1, numberOfFrames: 320, sampleRate: 8_000, copyTo: () => undefined, close: vi.fn<() => void>() };
}

beforeEach(async () => {
  FakeDecoder.made = [];
  FakeDecoder.isConfigSupported.mockResolvedValue({ supported: true });
  FakeContext.made = [];
  FakeContext.started = [];
  addTrack.mockReset();
  vi.stubGlobal("AudioDecoder", FakeDecoder);
  vi.stubGlobal("AudioContext", FakeContext);
  vi.stubGlobal(
    "EncodedAudioChunk",
    class {
      readonly timestamp: number;
      constructor(init: { timestamp: number }) {
        this.timestamp = init.timestamp;
      }
    },
  );
  const clock = new CaptureClock();
  clock.noteMade(0, performance.now());
  sound = new LiveSound({ addTrack } as unknown as MediaStream, clock);
  await sound.introduce(CONFIG);
});
afterEach(() => {
  sound.close();
  vi.unstubAllGlobals();
});

test("nothing is decoded, and no device opened, before somebody listens", () => {
  sound.take(frame(0));
  expect(FakeDecoder.made).toEqual([]);
  expect(FakeContext.made).toEqual([]);
});

test("who listens gets a track beside the pictures' and hears what comes", () => {
  sound.want(true);
  sound.take(frame(0));
  expect(addTrack).toHaveBeenCalledWith("sound");
  const data = decoded(0);
  FakeDecoder.made[0]?.on.output(data);
  expect(FakeContext.started).toHaveLength(1);
  expect(data.close).toHaveBeenCalledOnce();
  sound.want(false);
  expect(FakeContext.made[0]?.suspend).toHaveBeenCalledOnce();
  sound.take(frame(1));
  expect(FakeDecoder.made[0]?.decoded).toEqual([0]);
});

test("what is missing is counted, and what comes twice or behind is left out", () => {
  sound.want(true);
  for (const number of [4, 5, 5, 8, 7]) sound.take(frame(number));
  expect(FakeDecoder.made[0]?.decoded).toEqual([160_000, 200_000, 320_000]);
  expect(sound.lost).toBe(2);
});

test("sound of a kind that was not told, or that cannot be decoded, is left out", async () => {
  FakeDecoder.isConfigSupported.mockResolvedValue({ supported: false });
  await sound.introduce({ ...CONFIG, generation: 2 });
  FakeDecoder.isConfigSupported.mockRejectedValue(new TypeError("no such codec"));
  await sound.introduce({ ...CONFIG, generation: 3 });
  sound.want(true);
  for (const generation of [2, 3, 4]) sound.take(frame(0, generation));
  expect(FakeDecoder.made).toEqual([]);
});

test("a decoder that fails is made anew, but not for ever", () => {
  sound.want(true);
  for (let number = 0; number < 10; number += 1) {
    sound.take(frame(number));
    FakeDecoder.made.at(-1)?.on.error();
  }
  expect(FakeDecoder.made.length).toBeGreaterThan(1);
  expect(FakeDecoder.made.length).toBeLessThan(6);
});
