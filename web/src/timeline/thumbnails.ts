/**
 * Pictures under the pointer: which to ask for, and which one may be shown for a time.
 *
 * Belongs here: a cache by the time of the key picture, at most two questions at a time, the newest first.
 * Does not: fetching (thumbnailSource.ts), drawing (TimelineProbe).
 */

export interface Thumbnail {
  /** When the picture was taken. */
  pictureMs: number;
  /** An address that an <img> takes. */
  address: string;
}

/** Gives a picture of `ms`; null: there is none. Rejects when it was aborted or the system cannot say now. */
export type FetchThumbnail = (ms: number, signal: AbortSignal) => Promise<Thumbnail | null>;

interface Kept extends Thumbnail {
  /** No later key picture comes before this: the same picture stands for all times in between. */
  untilMs: number;
}

interface Asked {
  ms: number;
  abort: AbortController;
}

const AT_ONCE = 2;
const KEPT = 200;
/** After an answer that says nothing, the same time is not asked for again for so long. */
const AGAIN_MS = 3_000;
export const REST_MS = 60;

export class Thumbnails {
  /** By the time of the picture, the one used last at the end. */
  private readonly kept = new Map<number, Kept>();
  private asked: Asked[] = [];
  private wantedMs: number | null = null;
  private timer: ReturnType<typeof setTimeout> | null = null;
  private readonly missing = new Map<number, number>();
  private readonly listeners = new Set<() => void>();
  private version = 0;

  constructor(
    private readonly fetch: FetchThumbnail,
    /** Called with the address of a picture that is let go. */
    private readonly release: (address: string) => void = () => undefined,
    private readonly now: () => number = () => performance.now(),
  ) {}

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** Changes with every picture that comes. */
  readonly snapshot = (): number => this.version;

  /** The picture of exactly this time; null: not known yet, or none. */
  at(ms: number): Thumbnail | null {
    for (const each of this.kept.values()) if (each.pictureMs <= ms && ms <= each.untilMs) return this.touch(each);
    return null;
  }

  /** The nearest picture that is here, for a time that none is here for yet: to be shown with its own time. */
  nearest(ms: number, withinMs: number): Thumbnail | null {
    let best: Kept | null = null;
    const away = (each: Kept) => Math.abs(each.pictureMs - ms);
    for (const each of this.kept.values()) if (away(each) <= withinMs && (!best || away(each) < away(best))) best = each;
    return best;
  }

  /** The pointer is here now; a moment later the picture is asked for, unless it has moved on. */
  want(ms: number): void {
    this.wantedMs = ms;
    if (this.timer !== null) return;
    this.timer = setTimeout(() => {
      this.timer = null;
      this.ask();
    }, REST_MS);
  }

  /** The pointer has left: nothing more is asked for. */
  forget(): void {
    this.wantedMs = null;
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }

  destroy(): void {
    this.forget();
    for (const { abort } of this.asked) abort.abort();
    for (const { address } of this.kept.values()) this.release(address);
    this.kept.clear();
    this.listeners.clear();
  }

  private ask(): void {
    const ms = this.wantedMs;
    if (ms === null || this.at(ms) || this.asked.some((each) => each.ms === ms)) return;
    if (this.now() - (this.missing.get(ms) ?? Number.NEGATIVE_INFINITY) < AGAIN_MS) return;
    // What was asked for first is wanted least.
    if (this.asked.length >= AT_ONCE) this.asked.shift()?.abort.abort();
    const asked: Asked = { ms, abort: new AbortController() };
    this.asked.push(asked);
    void this.fetch(ms, asked.abort.signal)
      .then(
        (found) => (asked.abort.signal.aborted && found ? this.release(found.address) : this.keep(ms, found)),
        () => this.keep(ms, null),
      )
      .finally(() => {
        this.asked = this.asked.filter((each) => each !== asked);
        this.ask();
      });
  }

  private keep(ms: number, found: Thumbnail | null): void {
    if (!found) {
      this.missing.set(ms, this.now());
      if (this.missing.size > KEPT) this.missing.clear();
    } else {
      const old = this.kept.get(found.pictureMs);
      if (old) this.release(found.address);
      // A picture after the time that was asked for stands for itself alone.
      this.touch({ ...(old ?? found), untilMs: Math.max(old?.untilMs ?? found.pictureMs, ms) });
    }
    const [oldest] = this.kept.values();
    if (this.kept.size > KEPT && oldest) {
      this.kept.delete(oldest.pictureMs);
      this.release(oldest.address);
    }
    this.version += 1;
    for (const listener of this.listeners) listener();
  }

  private touch(each: Kept): Kept {
    this.kept.delete(each.pictureMs);
    this.kept.set(each.pictureMs, each);
    return each;
  }
}
