/**
 * Live view over WebSocket: one MP4 fragment a picture, into Media Source Extensions
 * (docs/api/live-websocket.md). For streams that WebRTC cannot carry: B-frames, H.265.
 */
import type { LiveStream } from "../api/types";
import { CaptureClock } from "./captureClock";
import { edgeStep, forgetUntil, type Range } from "./liveEdge";
import type { AttachedMedia, LiveEvents, LiveSession, LiveView } from "./session";
import type { ReceivedStats } from "./whep";

const HEADER_BYTES = 17;
const EDGE_EVERY_MS = 200;
/** A source buffer that has so much to take is stuck. */
const MAX_QUEUED = 2_000;
/** Pictures wait so long for the sound that is to come with them: some cameras announce sound and send none. */
const SOUND_WITHIN_MS = 1_000;

type Track = "video" | "audio";
interface Message {
  type: string;
  track?: string;
  mime?: string;
  stream?: LiveStream;
  epoch_ms?: number;
  tracks?: { track: string; mime: string | null }[];
}
type Item = ArrayBuffer | { until: number } | { mime: string } | { offset: number };

/** By the first byte of a binary message. */
const TRACK_OF: Record<number, Track> = { 0: "video", 1: "audio", 2: "video", 3: "audio" };

/** One source buffer, fed in order. */
class Feed {
  private readonly queue: Item[] = [];

  constructor(
    readonly buffer: SourceBuffer,
    private readonly onFailed: () => void,
  ) {
    buffer.addEventListener("updateend", () => this.next());
    buffer.addEventListener("error", onFailed);
  }

  append(bytes: ArrayBuffer): void {
    if (this.queue.length > MAX_QUEUED) this.onFailed();
    else this.put(bytes);
  }

  change(mime: string): void {
    this.put({ mime });
  }

  /** Media times from here on begin so many seconds later. */
  shift(offset: number): void {
    this.put({ offset });
  }

  forget(until: number): void {
    if (this.queue.length === 0) this.put({ until });
  }

  stop(): void {
    this.queue.length = 0;
  }

  private put(item: Item): void {
    this.queue.push(item);
    this.next();
  }

  private next(): void {
    while (!this.buffer.updating) {
      const item = this.queue.shift();
      if (item === undefined) return;
      try {
        if (item instanceof ArrayBuffer) this.buffer.appendBuffer(item);
        else if ("mime" in item) this.buffer.changeType(item.mime);
        else if ("offset" in item) this.buffer.timestampOffset = item.offset;
        else this.buffer.remove(0, item.until);
      } catch {
        this.onFailed();
        return;
      }
    }
  }
}

function isTrack(name: string | undefined): name is Track {
  return name === "video" || name === "audio";
}

function rangesOf(buffered: TimeRanges): Range[] {
  return Array.from({ length: buffered.length }, (_, n) => ({ start: buffered.start(n), end: buffered.end(n) }));
}

/** It knows streams, not sizes: which stream suits a tile is the ladder's to ask. */
export class MediaSourceSession implements Omit<LiveSession, "resize">, AttachedMedia {
  private readonly source = new MediaSource();
  private readonly feeds = new Map<Track, Feed>();
  private readonly held: MessageEvent<string | ArrayBuffer>[] = [];
  /**
   * Media that came before each track was introduced; null once it is appended. Browsers fix the number of source
   * buffers with the first media, so a track that is introduced after that cannot be added.
   */
  private early: ArrayBuffer[] | null = [];
  private readonly promised = new Set<Track>();
  private patience: ReturnType<typeof setTimeout> | undefined;
  private socket: WebSocket | null = null;
  private video: HTMLVideoElement | null = null;
  private closed = false;
  private heard = 0;
  private bytes = 0;
  private shown: LiveStream | null = null;
  /** Sound was let go of for a stream that has none; it cannot be taken up again. */
  private lostSound = false;
  private readonly clock = new CaptureClock();

  constructor(
    private readonly address: string,
    private readonly events: LiveEvents,
  ) {
    this.source.addEventListener("sourceopen", () => {
      for (const event of this.held.splice(0)) this.take(event);
    });
  }

  open(): Promise<void> {
    const socket = new WebSocket(this.address);
    socket.binaryType = "arraybuffer";
    socket.onmessage = (event: MessageEvent<string | ArrayBuffer>) => {
      this.heard += 1;
      if (typeof event.data !== "string") this.clock.noteMessage(event.data, performance.now());
      if (this.source.readyState === "open") this.take(event);
      else if (this.held.length < MAX_QUEUED) this.held.push(event);
    };
    socket.onclose = () => this.fail();
    this.socket = socket;
    this.events.onStream(this);
    return Promise.resolve();
  }

  attach(video: HTMLVideoElement): () => void {
    const address = URL.createObjectURL(this.source);
    this.video = video;
    video.srcObject = null;
    video.src = address;
    const onError = () => this.fail();
    video.addEventListener("error", onError);
    const edge = setInterval(() => this.keepUp(video), EDGE_EVERY_MS);
    return () => {
      clearInterval(edge);
      video.removeEventListener("error", onError);
      this.video = null;
      video.playbackRate = 1;
      video.removeAttribute("src");
      video.load();
      URL.revokeObjectURL(address);
    };
  }

  capturedMs(mediaTimeS: number): number {
    return this.clock.capturedMs(mediaTimeS);
  }

  get view(): LiveView {
    return { protocol: "websocket", stream: this.shown };
  }

  /** Go on with that stream: a new `hello` follows, on the same connection. */
  select(stream: LiveStream): void {
    if (this.connected && stream !== this.shown) this.socket?.send(JSON.stringify({ type: "select", stream }));
  }

  get connected(): boolean {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  stats(): Promise<ReceivedStats> {
    const quality = this.video?.getVideoPlaybackQuality();
    return Promise.resolve({
      framesDecoded: quality?.totalVideoFrames ?? 0,
      framesDropped: quality?.droppedVideoFrames ?? 0,
      packetsLost: 0,
      bytes: this.bytes,
      roundTripMs: null,
      heard: this.heard,
    });
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.patience);
    this.socket?.close();
  }

  private take({ data }: MessageEvent<string | ArrayBuffer>): void {
    if (this.closed) return;
    if (typeof data === "string") {
      const said = JSON.parse(data) as Message;
      if (said.type === "hello") this.greet(said);
      if (said.type === "init") this.introduce(said);
      return;
    }
    this.bytes += data.byteLength;
    if (this.early === null) this.append(data);
    else if (this.early.length < MAX_QUEUED) this.early.push(data);
  }

  private append(data: ArrayBuffer): void {
    const track = TRACK_OF[new Uint8Array(data, 0, 1)[0] ?? -1];
    if (track !== undefined) this.feeds.get(track)?.append(data.slice(HEADER_BYTES));
  }

  /** Every track is there, or not waited for any longer. */
  private begin(): void {
    clearTimeout(this.patience);
    const early = this.early ?? [];
    this.early = null;
    if (!this.closed) for (const data of early) this.append(data);
  }

  /** Another stream begins: its times are counted from an epoch of its own, and it may have no sound. */
  private greet({ stream, epoch_ms: epochMs, tracks }: Message): void {
    if (this.early !== null && this.early.length > 0) this.begin(); // what came is of the stream before
    if (epochMs !== undefined) {
      const offset = this.clock.begin(epochMs);
      for (const feed of this.feeds.values()) feed.shift(offset);
    }
    for (const { track, mime } of this.early === null ? [] : (tracks ?? [])) {
      if (isTrack(track) && mime !== null && MediaSource.isTypeSupported(mime)) this.promised.add(track);
    }
    const sound = this.feeds.get("audio");
    if (sound && tracks && !tracks.some(({ track, mime }) => track === "audio" && mime !== null)) {
      // Pictures would wait for sound that does not come.
      this.feeds.delete("audio");
      sound.stop();
      this.source.removeSourceBuffer(sound.buffer);
      this.lostSound = true;
    }
    if (stream === undefined) return;
    this.shown = stream;
    this.events.onView(this.view);
  }

  private introduce({ track, mime }: Message): void {
    if (!isTrack(track) || mime === undefined) return;
    if (!MediaSource.isTypeSupported(mime)) {
      if (track === "video") this.events.onFailed({ code: "codec" });
      return; // sound that this browser does not play is left out
    }
    const feed = this.feeds.get(track);
    if (feed) feed.change(mime);
    else if (this.early !== null) {
      this.feeds.set(track, new Feed(this.source.addSourceBuffer(mime), () => this.fail()));
      this.promised.delete(track);
      if (this.promised.size === 0) this.begin();
      else if (track === "video") this.patience = setTimeout(() => this.begin(), SOUND_WITHIN_MS);
    } else if (this.lostSound) this.fail(); // begun anew, there is sound again
  }

  private keepUp(video: HTMLVideoElement): void {
    const ranges = rangesOf(video.buffered);
    const { rate, seekTo } = edgeStep(video.currentTime, ranges, video.playbackRate > 1);
    if (seekTo !== null) video.currentTime = seekTo;
    if (video.playbackRate !== rate) video.playbackRate = rate;
    // Refused only for sound without a gesture; muted play is always allowed.
    if (video.paused && ranges.length > 0) video.play().catch(() => undefined);
    const until = forgetUntil(video.currentTime, ranges);
    if (until !== null) for (const feed of this.feeds.values()) feed.forget(until);
  }

  private fail(): void {
    if (!this.closed) this.events.onFailed({ code: "media" });
  }
}
