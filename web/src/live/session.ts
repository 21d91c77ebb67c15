/** What a live view is made of, whatever the protocol. */
import type { LiveStream } from "../api/types";
import type { LiveProblem } from "./backOff";
import type { LiveProtocol } from "./latencyWindow";
import type { TileSize } from "./tileSize";
import type { ReceivedStats } from "./whep";

/** What is being shown, and by what. */
export interface LiveView {
  protocol: LiveProtocol;
  /** null while the server has not said which it is. */
  stream: LiveStream | null;
}

/** Media that needs the video element itself; what it gives back lets go of it. */
export interface AttachedMedia {
  attach: (video: HTMLVideoElement) => () => void;
  /** When a picture of this media time was captured, on the clock of `performance.now()`; NaN: not known. */
  capturedMs: (mediaTimeS: number) => number;
}

export type LiveMedia = MediaStream | AttachedMedia;

export interface LiveEvents {
  onStream: (media: LiveMedia) => void;
  onView: (view: LiveView) => void;
  onFailed: (problem: LiveProblem) => void;
}

/** One attempt to watch; it is used once. */
export interface LiveSession {
  open: () => Promise<void>;
  readonly connected: boolean;
  /** null while the way is not chosen. */
  readonly view: LiveView | null;
  /** The tile has another size now: show the stream that suits it. What cannot be done leaves the picture. */
  resize: (size: TileSize) => void;
  stats: () => Promise<ReceivedStats>;
  close: () => void;
}
