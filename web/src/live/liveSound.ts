/**
 * Sound that comes a frame at a time, decoded by WebCodecs and played with the pictures, through a track beside theirs:
 * so the video element's volume is its volume. Nothing is decoded, and no device opened, while it is muted.
 */
import type { CaptureClock } from "./captureClock";
import { SoundDelay, SoundPlace } from "./soundPlace";
import type { EncodedSound, SoundConfig } from "./webTransportMessages";

/** A decoder that has so much to do is too slow, and sound is left out. */
const MAX_DECODING = 20;
/** A decoder that fails is made anew as often; after that there is no sound, and the picture goes on. */
const MAX_FAILURES = 3;

export class LiveSound {
  /** Frames that never came. */
  missed = 0;
  private readonly configs = new Map<number, SoundConfig>();
  private readonly delay = new SoundDelay();
  private readonly place = new SoundPlace();
  private context: AudioContext | null = null;
  private into: MediaStreamAudioDestinationNode | null = null;
  private decoder: AudioDecoder | null = null;
  private decodes: number | null = null;
  private next: number | null = null;
  /** Of the sound in hand: its capture, a Unix time of the server, minus its timestamp. */
  private aheadMs = 0;
  private wanted = false;
  private failures = 0;

  /** stream: of the pictures; the sound becomes a track of it. clock: knows the server's. */
  constructor(
    private readonly stream: MediaStream,
    private readonly clock: CaptureClock,
  ) {}

  /** Frames that were not heard: they never came, or too late. */
  get lost(): number {
    return this.missed + this.place.late;
  }

  /** Somebody listens, or no longer. Browsers let sound begin only after a gesture of the user. */
  want(wanted: boolean): void {
    this.wanted = wanted;
    this.next = null;
    this.place.begin();
    const change = wanted ? this.context?.resume() : this.context?.suspend();
    change?.catch(() => undefined);
  }

  async introduce(config: SoundConfig): Promise<void> {
    if (typeof AudioDecoder === "undefined") return;
    const { supported } = await AudioDecoder.isConfigSupported(config.decoder).catch(() => ({ supported: false }));
    if (supported !== true) return; // the picture goes on without it
    this.configs.set(config.generation, config);
    for (const generation of this.configs.keys()) {
      if (this.configs.size > 4) this.configs.delete(generation);
    }
  }

  /** A picture is shown now that was captured so long ago. */
  notePicture(ageMs: number): void {
    this.delay.notePicture(ageMs);
  }

  take(sound: EncodedSound): void {
    const config = this.configs.get(sound.generation);
    if (!this.wanted || this.failures > MAX_FAILURES || config === undefined) return;
    if (!this.isNext(sound.sequenceNumber)) return;
    try {
      this.decode(sound, config);
    } catch {
      this.fail();
    }
  }

  close(): void {
    this.wanted = false;
    if (this.decoder !== null && this.decoder.state !== "closed") this.decoder.close();
    for (const track of this.into?.stream.getTracks() ?? []) track.stop();
    this.context?.close().catch(() => undefined);
  }

  /** Datagrams may overtake each other, and one may come twice: what is behind is of no use to a decoder. */
  private isNext(sequenceNumber: number): boolean {
    const { next } = this;
    if (next !== null && sequenceNumber < next) return false;
    if (next !== null) this.missed += sequenceNumber - next;
    this.next = sequenceNumber + 1;
    return true;
  }

  private decode(sound: EncodedSound, config: SoundConfig): void {
    if (this.decodes !== sound.generation || this.decoder === null) {
      this.begin(config);
      this.decodes = sound.generation;
    }
    if (this.decoder === null || this.decoder.decodeQueueSize > MAX_DECODING) return;
    const timestamp = Math.round((sound.pts * 1e6) / config.clockRate);
    this.aheadMs = sound.capturedMs - timestamp / 1_000;
    this.decoder.decode(new EncodedAudioChunk({ type: "key", timestamp, data: sound.data }));
  }

  private begin(config: SoundConfig): void {
    this.decoder ??= new AudioDecoder({
      output: (data) => this.play(data),
      error: () => this.fail(),
    });
    this.decoder.configure(config.decoder);
    this.place.begin();
    if (this.context !== null) return;
    // At the sound's own rate each piece joins the one before to the sample.
    this.context = new AudioContext({ sampleRate: config.decoder.sampleRate, latencyHint: "interactive" });
    this.into = this.context.createMediaStreamDestination();
    for (const track of this.into.stream.getAudioTracks()) this.stream.addTrack(track);
  }

  private fail(): void {
    this.failures += 1;
    this.decoder = null;
  }

  private play(data: AudioData): void {
    const { context, into } = this;
    if (this.wanted && context?.state === "running" && into !== null) {
      const ageMs = performance.now() - this.clock.hereMs(data.timestamp / 1_000 + this.aheadMs);
      this.delay.noteSound(ageMs);
      const targetS = context.currentTime + (this.delay.ms - ageMs) / 1_000;
      const atS = this.place.place(data.timestamp / 1e6, targetS, context.currentTime);
      if (atS !== null) this.schedule(data, context, into, atS);
    }
    data.close();
  }

  private schedule(data: AudioData, context: AudioContext, into: AudioNode, atS: number): void {
    const buffer = context.createBuffer(data.numberOfChannels, data.numberOfFrames, data.sampleRate);
    for (let channel = 0; channel < data.numberOfChannels; channel += 1) {
      data.copyTo(buffer.getChannelData(channel), { planeIndex: channel, format: "f32-planar" });
    }
    const source = context.createBufferSource();
    source.buffer = buffer;
    source.connect(into);
    source.start(atS);
  }
}
