/** What comes over WebTransport: one message a stream (docs/api/live-webtransport.md). Pure. */
import type { LiveStream } from "../api/types";
import type { Picture } from "./pictureOrder";

export interface Config {
  generation: number;
  stream: LiveStream;
  clockRate: number;
  decoder: VideoDecoderConfig;
  /** Whether sound can be asked for: servers of before know no such wish. */
  knowsSound: boolean;
}

export interface SoundConfig {
  generation: number;
  clockRate: number;
  decoder: AudioDecoderConfig;
}

export interface EncodedSound {
  generation: number;
  sequenceNumber: number;
  /** Unix times of the server. */
  capturedMs: number;
  sentMs: number;
  pts: number;
  data: Uint8Array<ArrayBuffer>;
}

export type Message =
  | { config: Config }
  | { picture: EncodedPicture }
  | { soundConfig: SoundConfig }
  | { sound: EncodedSound };

export interface EncodedPicture extends Picture {
  /** Unix times of the server. */
  capturedMs: number;
  sentMs: number;
  pts: number;
  data: Uint8Array<ArrayBuffer>;
}

const CONFIG = 0;
const VIDEO = 1;
const SOUND_CONFIG = 3;
const SOUND = 4;
const HEADER_BYTES = 40;
const SOUND_HEADER_BYTES = 32;
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
    sound?: string | null;
  };
  const decoder = {
    codec: told.codec,
    description: bytesOf(told.description),
    codedWidth: told.width,
    codedHeight: told.height,
    optimizeForLatency: true,
  };
  const knowsSound = told.sound !== undefined;
  return { generation: told.generation, stream: told.stream, clockRate: told.clock_rate, decoder, knowsSound };
}

function soundConfigOf(text: string): SoundConfig {
  const told = JSON.parse(text) as {
    generation: number;
    codec: string;
    description: string | null;
    sample_rate: number;
    channels: number;
    clock_rate: number;
  };
  const decoder: AudioDecoderConfig = {
    codec: told.codec,
    sampleRate: told.sample_rate,
    numberOfChannels: told.channels,
  };
  if (told.description !== null) decoder.description = bytesOf(told.description);
  return { generation: told.generation, clockRate: told.clock_rate, decoder };
}

function textOf(buffer: ArrayBuffer): string {
  return new TextDecoder().decode(new Uint8Array(buffer, 1));
}

function millisecondsAt(view: DataView, at: number): number {
  return Number(view.getBigUint64(at)) / 1e6;
}

function pictureOf(view: DataView<ArrayBuffer>): EncodedPicture {
  const flags = view.getUint8(1);
  return {
    key: (flags & KEY) !== 0,
    afresh: (flags & AFRESH) !== 0,
    generation: view.getUint16(2),
    sequenceNumber: view.getUint32(4),
    capturedMs: millisecondsAt(view, 8),
    sentMs: millisecondsAt(view, 16),
    pts: Number(view.getBigUint64(24)),
    data: new Uint8Array(view.buffer, HEADER_BYTES),
  };
}

function soundOf(view: DataView<ArrayBuffer>): EncodedSound {
  return {
    generation: view.getUint16(2),
    sequenceNumber: view.getUint32(4),
    capturedMs: millisecondsAt(view, 8),
    sentMs: millisecondsAt(view, 16),
    pts: Number(view.getBigUint64(24)),
    data: new Uint8Array(view.buffer, SOUND_HEADER_BYTES),
  };
}

/** null: of a kind that is not known here. */
export function messageOf(buffer: ArrayBuffer): Message | null {
  const view = new DataView(buffer);
  const kind = buffer.byteLength > 1 ? view.getUint8(0) : null;
  if (kind === CONFIG) return { config: configOf(textOf(buffer)) };
  if (kind === SOUND_CONFIG) return { soundConfig: soundConfigOf(textOf(buffer)) };
  if (kind === VIDEO && buffer.byteLength >= HEADER_BYTES) return { picture: pictureOf(view) };
  if (kind === SOUND && buffer.byteLength >= SOUND_HEADER_BYTES) return { sound: soundOf(view) };
  return null;
}
