/**
 * One window of recordings in one video element, by hls.js.
 *
 * Belongs here: loading, time mapping, recovery of a single playlist. Does not: which window comes
 * next (window.ts, engine.ts), controls.
 */
import Hls, { ErrorDetails, type ErrorData, ErrorTypes, Events, type Fragment } from "hls.js/light";

import type { Span } from "../api/recordings";
import { mediaAt, type Piece, wallAt, wallEnd } from "./window";

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

/** Not always fatal to hls.js, which would go on without pictures. */
const CODEC_REFUSED: readonly ErrorDetails[] = [
  ErrorDetails.BUFFER_ADD_CODEC_ERROR,
  ErrorDetails.BUFFER_INCOMPATIBLE_CODECS_ERROR,
  ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR,
];

function asPiece(fragment: Fragment): Piece | null {
  const wallStartMs = fragment.programDateTime;
  if (wallStartMs === null) return null;
  return { mediaStartS: fragment.start, durationS: fragment.duration, wallStartMs };
}

export class Deck {
  readonly video = document.createElement("video");
  private readonly hls: Hls | null;
  private readonly listeners = new AbortController();
  private recoveries = 0;
  private started = false;
  ready = false;

  constructor(
    readonly window: Span,
    address: string,
    private readonly events: DeckEvents,
  ) {
    this.video.playsInline = true;
    this.video.preload = "auto";
    const { signal } = this.listeners;
    for (const name of MEDIA_EVENTS) this.video.addEventListener(name, events.onChange, { signal });
    this.video.addEventListener("ended", events.onEnded, { signal });
    this.video.addEventListener("loadeddata", () => this.markReady(), { signal });
    this.hls = Hls.isSupported() ? this.attach(address) : null;
    if (!this.hls) queueMicrotask(() => events.onProblem("browser"));
  }

  private attach(address: string): Hls {
    const hls = new Hls({
      autoStartLoad: false,
      // Its worker is made of a blob, which the content security policy refuses; fMP4 needs none.
      enableWorker: false,
      maxBufferLength: 30,
      backBufferLength: 60,
    });
    hls.on(Events.LEVEL_LOADED, (_, { details }) => {
      if (this.started) return;
      this.started = true;
      const pieces = details.fragments.map(asPiece).filter((piece) => piece !== null);
      hls.startLoad(mediaAt(pieces, this.window.startMs) ?? 0);
    });
    hls.on(Events.ERROR, (_, data) => this.onError(hls, data));
    hls.loadSource(address);
    hls.attachMedia(this.video);
    return hls;
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

  /** The playlist's pieces; their places move a little while media is parsed, so they are read afresh. */
  private pieces(): Piece[] {
    const fragments = this.hls?.levels[0]?.details?.fragments ?? [];
    return fragments.map(asPiece).filter((piece) => piece !== null);
  }

  /** The wall clock of the picture that is shown. */
  wallMs(): number | null {
    return this.ready ? wallAt(this.pieces(), this.video.currentTime) : null;
  }

  /** When this window's last picture ends. */
  endMs(): number | null {
    return wallEnd(this.pieces());
  }

  /** Seconds of media left to play. */
  remainingS(): number {
    const { duration, currentTime } = this.video;
    return Number.isFinite(duration) ? duration - currentTime : Number.POSITIVE_INFINITY;
  }

  /** Go to a time inside this window; false when it is not in it. */
  seek(wallMs: number): boolean {
    const pieces = this.pieces();
    const first = pieces[0];
    if (!first || wallMs < first.wallStartMs) return false;
    const mediaS = mediaAt(pieces, wallMs);
    if (mediaS === null) return false;
    this.video.currentTime = mediaS;
    return true;
  }

  destroy(): void {
    this.listeners.abort();
    this.hls?.destroy();
    this.video.remove();
  }
}
