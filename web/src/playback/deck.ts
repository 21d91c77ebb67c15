/**
 * One window of recordings in one video element, by hls.js.
 *
 * Belongs here: loading, time mapping, recovery of a single playlist. Does not: which window comes
 * next (window.ts, engine.ts), playing by seeking (seekDrive.ts), controls.
 */
import Hls, { ErrorDetails, type ErrorData, ErrorTypes, Events, type Fragment } from "hls.js/light";

import { url } from "../api/client";
import type { Span } from "../api/recordings";
import { type FramePiece, keyAt, type Step, stepFrom } from "./frames";
import { bufferAheadS } from "./rates";
import { type Sample, samplesOf, videoTrack } from "./samples";
import { mediaAt, wallAt, wallEnd } from "./window";

export type DeckProblem = "codec" | "network" | "media" | "browser";

export interface DeckEvents {
  /** The first picture is decoded. */
  onReady: () => void;
  /** Playing, paused, waiting or at a new place. */
  onChange: () => void;
  onEnded: () => void;
  onProblem: (problem: DeckProblem) => void;
}

const MEDIA_EVENTS = ["playing", "pause", "waiting", "canplay", "seeking", "seeked", "ratechange"] as const;
const MAX_RECOVERIES = 3;
/** Pieces whose pictures are kept in mind: about half an hour. */
const MAX_KNOWN = 450;
const FALLBACK_FRAME_S = 0.04;
/** A seek this close to the end would end playing. */
const END_S = 0.005;

/** How its video element looks to people and to screen readers. */
export interface DeckLook {
  className: string;
  label: () => string;
}

/** Not always fatal to hls.js, which would go on without pictures. */
const CODEC_REFUSED: readonly ErrorDetails[] = [
  ErrorDetails.BUFFER_ADD_CODEC_ERROR,
  ErrorDetails.BUFFER_INCOMPATIBLE_CODECS_ERROR,
  ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR,
];

export class Deck {
  readonly video = document.createElement("video");
  private readonly hls: Hls | null;
  private readonly listeners = new AbortController();
  private readonly samples = new Map<number, Sample[]>();
  /** Their places move a little while media is parsed, which hls.js tells of. */
  private known: FramePiece[] | null = null;
  private recoveries = 0;
  private started = false;
  /** Where a step led; the next one starts there, also before the picture is up. */
  private aimS: number | null = null;
  private frameS: number | null = null;
  /** Pictures that were shown. */
  presented = 0;
  ready = false;

  /** startMs: where to begin, inside the window. */
  constructor(
    readonly window: Span,
    address: string,
    private readonly events: DeckEvents,
    private readonly startMs = window.startMs,
  ) {
    this.video.playsInline = true;
    this.video.preload = "auto";
    const { signal } = this.listeners;
    for (const name of MEDIA_EVENTS) this.video.addEventListener(name, events.onChange, { signal });
    this.video.addEventListener("ended", events.onEnded, { signal });
    this.video.addEventListener("playing", () => (this.aimS = null), { signal });
    this.video.addEventListener("loadeddata", () => this.markReady(), { signal });
    this.hls = Hls.isSupported() ? this.attach(address) : null;
    if (!this.hls) queueMicrotask(() => events.onProblem("browser"));
    this.watchFrames();
  }

  private attach(address: string): Hls {
    const hls = new Hls({
      autoStartLoad: false,
      // Its worker is made of a blob, which the content security policy refuses; fMP4 needs none.
      enableWorker: false,
      maxBufferLength: bufferAheadS(1),
      maxBufferSize: 120_000_000,
      backBufferLength: 60,
    });
    hls.on(Events.LEVEL_LOADED, (_, { details }) => {
      if (this.started) return;
      this.started = true;
      this.known = null;
      const pieces = details.fragments.map((each) => this.asPiece(each)).filter((piece) => piece !== null);
      hls.startLoad(mediaAt(pieces, this.startMs) ?? 0);
    });
    for (const event of [Events.LEVEL_UPDATED, Events.LEVEL_PTS_UPDATED, Events.FRAG_BUFFERED] as const) {
      hls.on(event, () => (this.known = null));
    }
    hls.on(Events.FRAG_LOADED, (_, { frag, payload }) => this.learn(frag, payload));
    hls.on(Events.ERROR, (_, data) => this.onError(hls, data));
    hls.loadSource(address);
    hls.attachMedia(this.video);
    return hls;
  }

  private asPiece(fragment: Fragment): FramePiece | null {
    const wallStartMs = fragment.programDateTime;
    if (wallStartMs === null) return null;
    const samples = (typeof fragment.sn === "number" && this.samples.get(fragment.sn)) || null;
    return { mediaStartS: fragment.start, durationS: fragment.duration, wallStartMs, samples };
  }

  /** Read when each picture of a piece that came is shown. */
  private learn(fragment: Fragment, payload: ArrayBuffer): void {
    const init = fragment.initSegment?.data;
    if (typeof fragment.sn !== "number" || !init) return;
    try {
      const track = videoTrack(init);
      if (track) this.samples.set(fragment.sn, samplesOf(new Uint8Array(payload), track));
    } catch (error) {
      // Cut short: playing it does not need this, stepping guesses.
      if (!(error instanceof RangeError)) throw error;
    }
    const [oldest] = this.samples.keys();
    if (this.samples.size > MAX_KNOWN && oldest !== undefined) this.samples.delete(oldest);
    this.known = null;
  }

  private watchFrames(): void {
    if (!("requestVideoFrameCallback" in this.video)) return;
    const onFrame = (_: number, { mediaTime, presentedFrames }: VideoFrameCallbackMetadata) => {
      this.frameS = mediaTime;
      this.presented = presentedFrames;
      if (!this.listeners.signal.aborted) this.video.requestVideoFrameCallback(onFrame);
    };
    this.video.requestVideoFrameCallback(onFrame);
  }

  private onError(hls: Hls, data: ErrorData): void {
    if (CODEC_REFUSED.includes(data.details)) return this.events.onProblem("codec");
    if (!data.fatal) return;
    this.recoveries += 1;
    const canRecover = this.recoveries <= MAX_RECOVERIES;
    if (data.type === ErrorTypes.MEDIA_ERROR && canRecover) return hls.recoverMediaError();
    if (data.type === ErrorTypes.NETWORK_ERROR && canRecover && this.started) return hls.startLoad();
    this.events.onProblem(data.type === ErrorTypes.NETWORK_ERROR ? "network" : "media");
  }

  private markReady(): void {
    if (this.ready) return;
    this.ready = true;
    this.events.onReady();
  }

  pieces(): readonly FramePiece[] {
    const fragments = this.hls?.levels[0]?.details?.fragments ?? [];
    this.known ??= fragments.map((each) => this.asPiece(each)).filter((piece) => piece !== null);
    return this.known;
  }

  /** The place in the player's time of what is shown, or will be when a seek is done. */
  mediaS(): number {
    return this.aimS ?? this.video.currentTime;
  }

  /** The wall clock of the picture that is shown. */
  wallMs(): number | null {
    return this.ready ? wallAt(this.pieces(), this.video.currentTime) : null;
  }

  /** When this window's first picture is. */
  firstMs(): number | null {
    return this.pieces()[0]?.wallStartMs ?? null;
  }

  /** When this window's last picture ends. */
  endMs(): number | null {
    return wallEnd(this.pieces());
  }

  /** The player's time that has pictures. */
  range(): { startS: number; endS: number } {
    const last = this.pieces().at(-1);
    return { startS: this.pieces()[0]?.mediaStartS ?? 0, endS: last ? last.mediaStartS + last.durationS : 0 };
  }

  /** Seconds of media left to play. */
  remainingS(): number {
    const { duration, currentTime } = this.video;
    return Number.isFinite(duration) ? duration - currentTime : Number.POSITIVE_INFINITY;
  }

  /** How long one picture is, where the pictures around are known. */
  private pictureS(): number {
    const at = this.video.currentTime;
    const piece = this.pieces().findLast((each) => each.mediaStartS <= at);
    const middle = piece?.samples?.[Math.floor((piece.samples.length - 1) / 2)];
    return middle && middle.durationS > 0 ? middle.durationS : FALLBACK_FRAME_S;
  }

  /** One picture further or back; what lies beyond this window is for the caller to find. */
  step(direction: 1 | -1): Step {
    const { currentTime, seeking } = this.video;
    const near = this.frameS !== null && !seeking && Math.abs(this.frameS - currentTime) < 0.5;
    const fromS = this.aimS ?? (near ? (this.frameS ?? currentTime) : currentTime);
    const step = stepFrom(this.pieces(), fromS, direction, this.pictureS());
    if (step.kind === "at") this.seekMedia(step.mediaS);
    return step;
  }

  /** The key picture that `mediaS` is decoded from. */
  keyBefore(mediaS: number): number {
    return keyAt(this.pieces(), mediaS, this.pictureS());
  }

  seekMedia(mediaS: number): void {
    const { startS, endS } = this.range();
    this.aimS = Math.max(startS, endS > 0 ? Math.min(mediaS, endS - END_S) : mediaS);
    this.video.currentTime = this.aimS;
  }

  /** Go to a time inside this window; false when it is not in it. */
  seek(wallMs: number): boolean {
    const pieces = this.pieces();
    const first = pieces[0];
    if (!first || wallMs < first.wallStartMs) return false;
    const mediaS = mediaAt(pieces, wallMs);
    if (mediaS === null) return false;
    this.seekMedia(mediaS);
    return true;
  }

  /** How many pictures were decoded in time so far. */
  shownPictures(): number {
    const { totalVideoFrames, droppedVideoFrames } = this.video.getVideoPlaybackQuality();
    return totalVideoFrames - droppedVideoFrames;
  }

  /** False: the browser does not let it play. */
  async play(): Promise<boolean> {
    try {
      await this.video.play();
      return true;
    } catch (error) {
      // Refused without a gesture: a page opened by a link begins without sound.
      if (!(error instanceof DOMException) || error.name !== "NotAllowedError") return true;
      this.video.muted = true;
      return this.video.play().then(
        () => true,
        () => false,
      );
    }
  }

  setRate(rate: number): void {
    this.video.playbackRate = rate;
  }

  /** Load as far ahead as this speed needs. */
  bufferFor(rate: number): void {
    if (this.hls) this.hls.config.maxBufferLength = bufferAheadS(rate);
  }

  destroy(): void {
    this.listeners.abort();
    this.hls?.destroy();
    this.video.remove();
  }
}

/** A hidden deck in `host`, playing a camera's recordings of `window`. */
export function createDeck(
  cameraId: string,
  window: Span,
  startMs: number,
  host: HTMLElement,
  look: DeckLook,
  events: DeckEvents,
): Deck {
  const deck = new Deck(window, url.playlist(cameraId, window.startMs, window.endMs), events, startMs);
  deck.video.className = look.className;
  deck.video.setAttribute("aria-label", look.label());
  deck.video.hidden = true;
  host.append(deck.video);
  return deck;
}
