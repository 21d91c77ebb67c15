/**
 * Live view over WebTransport: one picture a stream, sound in datagrams, decoded by WebCodecs
 * (docs/api/live-webtransport.md). Experimental, and only for who chooses it (chosenProtocol.ts).
 */
import type { LiveStream } from "../api/types";
import { CaptureClock } from "./captureClock";
import { keepPlaying } from "./keepPlaying";
import { LiveSound } from "./liveSound";
import { PictureOrder } from "./pictureOrder";
import type { AttachedMedia, LiveEvents, LiveSession, LiveView } from "./session";
import { bytesOf, type Config, type EncodedPicture, messageOf } from "./webTransportMessages";
import { type Screen, makeScreen } from "./screen";
import type { ReceivedStats } from "./whep";

const LOOK_EVERY_MS = 50;
/** Datagrams that wait to be read while the page does other things; as many frames of sound are more than is played. */
const MAX_DATAGRAMS = 50;
/** A decoder that has so many pictures to do is too slow: it goes on at a key picture. */
const MAX_DECODING = 30;
/** Capture times that are remembered, until their pictures are shown. */
const MAX_REMEMBERED = 300;

export function hasWebTransport(): boolean {
  return typeof WebTransport !== "undefined" && typeof VideoDecoder !== "undefined";
}

/** It knows streams, not sizes: which stream suits a tile is the ladder's to ask. */
export class WebTransportSession implements Omit<LiveSession, "resize">, AttachedMedia {
  private readonly configs = new Map<number, Config>();
  private readonly order = new PictureOrder<EncodedPicture>((generation) => this.configs.has(generation));
  private readonly clock = new CaptureClock();
  private readonly captured = new Map<number, number>();
  private screen: Screen | null = null;
  private sound: LiveSound | null = null;
  private knowsSound = false;
  private listening = false;
  private asked = false;
  private saying: Promise<void> = Promise.resolve();
  private decoder: VideoDecoder | null = null;
  private decodes: number | null = null;
  private decoderFailures = 0;
  private awaitingKey = false;
  private transport: WebTransport | null = null;
  private ready = false;
  private closed = false;
  private timer: ReturnType<typeof setInterval> | null = null;
  private shown: LiveStream | null = null;
  private readonly counts = { heard: 0, bytes: 0, decoded: 0, dropped: 0 };

  /** hashes: of the server's certificate, SHA-256 in base64; none when the browser trusts it anyway. */
  constructor(
    private readonly address: string,
    private readonly hashes: readonly string[],
    private readonly events: LiveEvents,
  ) {}

  async open(): Promise<void> {
    try {
      const serverCertificateHashes = this.hashes.map((hash) => ({ algorithm: "sha-256", value: bytesOf(hash) }));
      this.transport = new WebTransport(this.address, this.hashes.length > 0 ? { serverCertificateHashes } : {});
      const { transport } = this;
      transport.closed.then(
        () => this.fail(),
        () => this.fail(),
      );
      await transport.ready;
      if (this.closed) return;
      this.screen = makeScreen();
      this.sound = new LiveSound(this.screen.stream, this.clock);
      this.decoder = this.makeDecoder();
      this.ready = true;
      this.timer = setInterval(() => this.decode(), LOOK_EVERY_MS);
      this.events.onStream(this);
      void this.readStreams(transport);
      void this.readDatagrams(transport);
    } catch {
      this.fail();
    }
  }

  attach(video: HTMLVideoElement): () => void {
    if (this.screen === null) return () => undefined;
    video.srcObject = this.screen.stream;
    // Refused only for sound without a gesture; muted play is always allowed.
    video.play().catch(() => undefined);
    const letPause = keepPlaying(video);
    const listen = () => this.listen(!video.muted);
    video.addEventListener("volumechange", listen);
    listen();
    return () => {
      letPause();
      video.removeEventListener("volumechange", listen);
      this.listen(false);
      video.srcObject = null;
    };
  }

  capturedMs(mediaTimeS: number): number {
    const unixMs = this.captured.get(Math.round(mediaTimeS * 1e6));
    return unixMs === undefined ? Number.NaN : this.clock.hereMs(unixMs);
  }

  get view(): LiveView {
    return { protocol: "webtransport", stream: this.shown };
  }

  get connected(): boolean {
    return this.ready && !this.closed;
  }

  async select(stream: LiveStream): Promise<void> {
    if (this.connected && stream !== this.shown) await this.say({ type: "select", stream });
  }

  stats(): Promise<ReceivedStats> {
    const { heard, bytes, decoded, dropped } = this.counts;
    return Promise.resolve({
      framesDecoded: decoded,
      framesDropped: dropped + this.order.skipped,
      packetsLost: this.sound?.lost ?? 0,
      bytes,
      roundTripMs: null,
      heard,
    });
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    if (this.timer !== null) clearInterval(this.timer);
    try {
      this.transport?.close();
    } catch {
      // It never came to be.
    }
    if (this.decoder !== null && this.decoder.state !== "closed") this.decoder.close();
    this.sound?.close();
    this.screen?.close();
  }

  /** Sound is sent to who listens, and to nobody else. */
  private listen(listening: boolean): void {
    this.listening = listening;
    if (listening === this.asked || !this.knowsSound || !this.connected) return;
    this.asked = listening;
    this.sound?.want(listening);
    this.say({ type: "sound", on: listening }).catch(() => undefined);
  }

  /** One after the other: of two streams the later may come first. */
  private say(message: object): Promise<void> {
    const said = this.saying.then(async () => {
      if (!this.connected || this.transport === null) return;
      const writer = (await this.transport.createUnidirectionalStream()).getWriter();
      await writer.write(new TextEncoder().encode(JSON.stringify(message)));
      await writer.close();
    });
    this.saying = said.catch(() => undefined);
    return said;
  }

  private async readStreams(transport: WebTransport): Promise<void> {
    try {
      const streams = transport.incomingUnidirectionalStreams.getReader();
      for (;;) {
        const { value, done } = await streams.read();
        if (done || this.closed) return;
        this.counts.heard += 1;
        this.readMessage(value as ReadableStream<Uint8Array<ArrayBuffer>>).catch(() => this.fail());
      }
    } catch {
      this.fail();
    }
  }

  private async readMessage(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    let buffer: ArrayBuffer;
    try {
      buffer = await new Response(stream).arrayBuffer();
    } catch {
      return; // The server gave it up.
    }
    await this.take(buffer);
    this.decode();
  }

  private async take(buffer: ArrayBuffer): Promise<void> {
    const message = messageOf(buffer);
    if (message === null || this.closed) return;
    this.counts.heard += 1;
    this.counts.bytes += buffer.byteLength;
    const nowMs = performance.now();
    if ("config" in message) await this.introduce(message.config);
    else if ("soundConfig" in message) await this.sound?.introduce(message.soundConfig);
    else if ("picture" in message) {
      this.clock.noteMade(message.picture.sentMs, nowMs);
      this.order.add(message.picture, nowMs);
    } else {
      this.clock.noteMade(message.sound.sentMs, nowMs);
      this.sound?.take(message.sound);
    }
  }

  /** Sound, and every second that the server is there. */
  private async readDatagrams(transport: WebTransport): Promise<void> {
    try {
      transport.datagrams.incomingHighWaterMark = MAX_DATAGRAMS;
      const datagrams = (transport.datagrams.readable as ReadableStream<Uint8Array>).getReader();
      for (;;) {
        const { done, value } = await datagrams.read();
        if (done || this.closed) return;
        this.counts.heard += 1;
        void this.take(value.slice().buffer);
      }
    } catch {
      this.fail();
    }
  }

  private async introduce(config: Config): Promise<void> {
    const { supported } = await VideoDecoder.isConfigSupported(config.decoder);
    if (this.closed) return;
    if (!supported) {
      this.events.onFailed({ code: "codec" });
      return;
    }
    this.configs.set(config.generation, config);
    for (const generation of this.configs.keys()) {
      if (this.configs.size > 4) this.configs.delete(generation);
    }
    this.knowsSound = config.knowsSound;
    this.listen(this.listening);
    this.shown = config.stream;
    this.events.onView(this.view);
  }

  private decode(): void {
    if (this.closed) return;
    try {
      for (const picture of this.order.ready(performance.now())) this.decodeOne(picture);
    } catch {
      this.fail();
    }
  }

  private decodeOne(picture: EncodedPicture): void {
    const config = this.configs.get(picture.generation);
    const { decoder } = this;
    if (config === undefined || decoder === null) return;
    if (decoder.decodeQueueSize > MAX_DECODING) this.awaitingKey = true;
    if (this.decodes !== picture.generation) {
      decoder.configure(config.decoder);
      this.decodes = picture.generation;
      this.awaitingKey = true;
    }
    if (this.awaitingKey && !picture.key) {
      this.counts.dropped += 1;
      return;
    }
    this.awaitingKey = false;
    const timestamp = Math.round((picture.pts * 1e6) / config.clockRate);
    this.remember(timestamp, picture.capturedMs);
    decoder.decode(new EncodedVideoChunk({ type: picture.key ? "key" : "delta", timestamp, data: picture.data }));
  }

  /** What is not shown is not counted as a picture: whoever looks at the counts takes it for one that was seen. */
  private show(frame: VideoFrame): void {
    this.sound?.notePicture(performance.now() - this.capturedMs(frame.timestamp / 1e6));
    if (this.screen === null || this.closed) frame.close();
    else if (this.screen.show(frame)) this.counts.decoded += 1;
    else this.counts.dropped += 1;
  }

  private makeDecoder(): VideoDecoder {
    return new VideoDecoder({ output: (frame) => this.show(frame), error: () => this.decodeAnew() });
  }

  /** A picture that cannot be decoded costs those up to the next key picture; a second one, the session. */
  private decodeAnew(): void {
    this.decoderFailures += 1;
    if (this.closed || this.decoderFailures > 1) {
      this.fail();
      return;
    }
    this.decoder = this.makeDecoder();
    this.decodes = null;
  }

  private remember(timestamp: number, capturedMs: number): void {
    this.captured.set(timestamp, capturedMs);
    for (const oldest of this.captured.keys()) {
      if (this.captured.size <= MAX_REMEMBERED) break;
      this.captured.delete(oldest);
    }
  }

  private fail(): void {
    if (!this.closed) this.events.onFailed({ code: "media" });
  }
}
