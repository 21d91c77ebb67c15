/**
 * Pictures that come on streams of their own, in whatever order, as they are to be decoded. Pure.
 *
 * Nothing is lost for good but what the server gives up, and what comes after that is a key picture that says so
 * (`afresh`). So a missing picture is waited for; but not for long once a newer key picture is there.
 */
export interface Picture {
  /** What it is decoded by: the server's config of this number. */
  generation: number;
  sequenceNumber: number;
  key: boolean;
  /** What came before and is not here will never be. */
  afresh: boolean;
}

/** So long is a missing picture waited for when a newer key picture is there. */
export const JUMP_AFTER_MS = 100;
/** As many may wait; beyond it, only the newest key picture and what follows. */
export const MAX_WAITING = 600;

interface Waiting<P> {
  picture: P;
  sinceMs: number;
}

export class PictureOrder<P extends Picture> {
  /** Left out, or come too late. */
  skipped = 0;
  private readonly waiting = new Map<number, Waiting<P>>();
  /** null: what begins with the next key picture. */
  private next: number | null = null;

  /** isKnown: whether pictures of a generation can be decoded yet. */
  constructor(private readonly isKnown: (generation: number) => boolean) {}

  add(picture: P, nowMs: number): void {
    const { sequenceNumber } = picture;
    if (this.next !== null && sequenceNumber < this.next) {
      this.skipped += 1;
      return;
    }
    this.waiting.set(sequenceNumber, { picture, sinceMs: nowMs });
    if (picture.afresh && picture.key) this.jump(sequenceNumber);
    else if (this.waiting.size > MAX_WAITING) this.overrun(nowMs);
  }

  /** What can be decoded now, in order. */
  ready(nowMs: number): P[] {
    const found: P[] = [];
    let taken = this.take();
    if (taken === null && this.waiting.size > 0) {
      const key = this.newestKey(nowMs, JUMP_AFTER_MS);
      if (key !== null && this.next !== key) {
        this.jump(key);
        taken = this.take();
      }
    }
    for (; taken !== null; taken = this.take()) found.push(taken);
    return found;
  }

  private take(): P | null {
    const first = this.next === null ? undefined : this.waiting.get(this.next);
    if (this.next === null || first === undefined || !this.isKnown(first.picture.generation)) return null;
    this.waiting.delete(this.next);
    this.next += 1;
    return first.picture;
  }

  private newestKey(nowMs: number, waitedMs: number): number | null {
    let newest: number | null = null;
    for (const [number, { picture, sinceMs }] of this.waiting) {
      if (picture.key && nowMs - sinceMs >= waitedMs && (newest === null || number > newest)) newest = number;
    }
    return newest;
  }

  private overrun(nowMs: number): void {
    const key = this.newestKey(nowMs, 0);
    this.jump(key ?? Infinity);
    if (key === null) this.next = null; // whatever comes next, it cannot be decoded before a key picture
  }

  private jump(to: number): void {
    for (const number of this.waiting.keys()) {
      if (number < to) {
        this.waiting.delete(number);
        this.skipped += 1;
      }
    }
    this.next = to;
  }
}
