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

test("what is of no known kind, or cut short, is nothing", () => {
  expect(messageOf(buffer(9, 1, 2))).toBeNull();
  expect(messageOf(buffer(1, 3))).toBeNull();
});
