import { expect, test } from "vitest";

import { messageOf } from "./webTransportMessages";

function buffer(...bytes: number[]): ArrayBuffer {
  return Uint8Array.from(bytes).buffer;
}

test("a picture is read as the server writes it", () => {
  const data = new ArrayBuffer(43);
  const view = new DataView(data);
  view.setUint8(0, 1);
  view.setUint8(1, 3);
  view.setUint16(2, 7);
  view.setUint32(4, 4_000_000_000);
  view.setBigUint64(8, 1_764_000_000_123_000_000n);
  view.setBigUint64(16, 1_764_000_000_250_000_000n);
  view.setBigUint64(24, 180_000n);
  view.setBigUint64(32, 176_400n);
  view.setUint8(42, 9);
  const message = messageOf(data);
  expect(message).toEqual({
    picture: {
      key: true,
      afresh: true,
      generation: 7,
      sequenceNumber: 4_000_000_000,
      capturedMs: expect.closeTo(1_764_000_000_123, 2),
      sentMs: expect.closeTo(1_764_000_000_250, 2),
      pts: 180_000,
      data: Uint8Array.from([0, 0, 9]),
    },
  });
});

test("a config becomes what a decoder is told", () => {
  const told = {
    type: "config",
    generation: 2,
    camera: "porch",
    stream: "sub",
    codec: "avc1.42c00d",
    description: "AULA",
    width: 320,
    height: 240,
    clock_rate: 90_000,
  };
  const text = new TextEncoder().encode(`\0${JSON.stringify(told)}`);
  expect(messageOf(text.buffer)).toEqual({
    config: {
      generation: 2,
      stream: "sub",
      clockRate: 90_000,
      knowsSound: false,
      decoder: {
        codec: "avc1.42c00d",
        description: Uint8Array.from([1, 66, 192]),
        codedWidth: 320,
        codedHeight: 240,
        optimizeForLatency: true,
      },
    },
  });
});

test("a config tells whether sound can be asked for, be there any or not", () => {
  const told = { generation: 1, stream: "main", codec: "avc1.42c00d", description: "", width: 2, height: 2, clock_rate: 90_000 };
  const read = (more: object) => messageOf(new TextEncoder().encode(`\0${JSON.stringify({ ...told, ...more })}`).buffer);
  expect(read({ sound: "alaw" })).toMatchObject({ config: { knowsSound: true } });
  expect(read({ sound: null })).toMatchObject({ config: { knowsSound: true } });
});

test("sound is read as the server writes it, and so is what decodes it", () => {
  const data = new ArrayBuffer(33);
  const view = new DataView(data);
  view.setUint8(0, 4);
  view.setUint16(2, 7);
  view.setUint32(4, 4_000_000_000);
  view.setBigUint64(8, 1_764_000_000_123_000_000n);
  view.setBigUint64(16, 1_764_000_000_250_000_000n);
  view.setBigUint64(24, 48_000n);
  view.setUint8(32, 9);
  expect(messageOf(data)).toEqual({
    sound: {
      generation: 7,
      sequenceNumber: 4_000_000_000,
      capturedMs: expect.closeTo(1_764_000_000_123, 2),
      sentMs: expect.closeTo(1_764_000_000_250, 2),
      pts: 48_000,
      data: Uint8Array.from([9]),
    },
  });
  const told = { type: "sound", generation: 7, codec: "mp4a.40.2", description: "EYg=", sample_rate: 48_000, channels: 1, clock_rate: 48_000 };
  expect(messageOf(new TextEncoder().encode(`\u0003${JSON.stringify(told)}`).buffer)).toEqual({
    soundConfig: {
      generation: 7,
      clockRate: 48_000,
      decoder: { codec: "mp4a.40.2", sampleRate: 48_000, numberOfChannels: 1, description: Uint8Array.from([17, 136]) },
    },
  });
});

test("what is of no known kind, or cut short, is nothing", () => {
  expect(messageOf(buffer(9, 1, 2))).toBeNull();
  expect(messageOf(buffer(1, 3))).toBeNull();
  expect(messageOf(buffer(4, 0, 0, 1))).toBeNull();
});
