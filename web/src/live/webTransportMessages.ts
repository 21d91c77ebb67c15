/** What comes over WebTransport: one message a stream (docs/api/live-webtransport.md). Pure. */
import type { LiveStream } from "../api/types";
import type { Picture } from "./pictureOrder";

export interface Config {
  generation: number;
  stream: LiveStream;
  clockRate: number;
  decoder: VideoDecoderConfig;
}

export interface EncodedPicture extends Picture {
  /** Unix times of the server. */
  capturedMs: number;
  sentMs: number;
  pts: number;
  data: Uint8Array<ArrayBuffer>;
}

const CONFIG = 0;
const VIDEO = 1;
const HEADER_BYTES = 40;
const KEY = 1;
const AFRESH = 2;

export function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

function configOf(text: string): Config {
  const told = JSON.parse(text) as {
    generation: number;
    stream: LiveStream;
    codec: string;
    description: string;
    width: number;
    height: number;
    clock_rate: number;
  };
  const decoder = {
    codec: told.codec,
    description: bytesOf(told.description),
    codedWidth: told.width,
    codedHeight: told.height,
    optimizeForLatency: true,
  };
  return { generation: told.generation, stream: told.stream, clockRate: told.clock_rate, decoder };
}

/** null: of a kind that is not known here. */
export function messageOf(buffer: ArrayBuffer): { config: Config } | { picture: EncodedPicture } | null {
  const view = new DataView(buffer);
  if (buffer.byteLength > 1 && view.getUint8(0) === CONFIG) {
    return { config: configOf(new TextDecoder().decode(new Uint8Array(buffer, 1))) };
  }
  if (buffer.byteLength < HEADER_BYTES || view.getUint8(0) !== VIDEO) return null;
  const flags = view.getUint8(1);
  const milliseconds = (at: number) => Number(view.getBigUint64(at)) / 1e6;
  const picture = {
    key: (flags & KEY) !== 0,
    afresh: (flags & AFRESH) !== 0,
    generation: view.getUint16(2),
    sequenceNumber: view.getUint32(4),
    capturedMs: milliseconds(8),
    sentMs: milliseconds(16),
    pts: Number(view.getBigUint64(24)),
    data: new Uint8Array(buffer, HEADER_BYTES),
  };
  return { picture };
}
