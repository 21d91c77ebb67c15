/**
 * Plays a deck by seeking: backwards, and forward from key picture to key picture.
 *
 * The clock goes on at the chosen speed; each seek shows where it is by then, so a slow decoder shows
 * fewer pictures, not a slower film.
 */
import type { Deck } from "./deck";
import { advanced } from "./speed";

const TURN_MS = 15;
/** A picture that is not up this long after its seek will not come. */
const SHOWN_WITHIN_MS = 150;

export type Edge = "before" | "after";

interface Job {
  deck: Deck;
  rate: number;
  keyPictures: boolean;
  onEdge: (edge: Edge) => void;
}

export class SeekDrive {
  private job: Job | null = null;
  private timer: ReturnType<typeof setInterval> | null = null;
  private mediaS = 0;
  private atMs = 0;
  private askedS: number | null = null;
  private askedAtMs = 0;
  private presented = 0;

  /** From where the deck is; whatever ran before ends. */
  run(job: Job): void {
    this.stop();
    this.job = job;
    this.mediaS = job.deck.mediaS();
    this.atMs = performance.now();
    this.timer = setInterval(() => this.turn(), TURN_MS);
  }

  stop(): void {
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
    this.job = null;
    this.askedS = null;
  }

  private turn(): void {
    if (!this.job) return;
    const { deck, rate, keyPictures, onEdge } = this.job;
    const nowMs = performance.now();
    const unseen = deck.presented === this.presented && nowMs - this.askedAtMs < SHOWN_WITHIN_MS;
    if (!deck.ready || deck.video.seeking || (this.askedS !== null && unseen)) return;
    this.mediaS = advanced(this.mediaS, nowMs - this.atMs, rate);
    this.atMs = nowMs;
    const { startS, endS } = deck.range();
    if (this.mediaS < startS || this.mediaS >= endS) {
      this.stop();
      return onEdge(this.mediaS < startS ? "before" : "after");
    }
    const toS = keyPictures ? deck.keyBefore(this.mediaS) : this.mediaS;
    if (this.askedS !== null && Math.abs(toS - this.askedS) < 0.002) return;
    this.askedS = toS;
    this.askedAtMs = nowMs;
    this.presented = deck.presented;
    deck.seekMedia(toS);
  }
}
