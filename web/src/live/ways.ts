/**
 * Which ways to watch have failed in practice although the server counts them as playable, so that the next one is
 * taken. Pure; of one live view, and forgotten when it begins afresh.
 */
import type { LiveStream } from "../api/types";
import type { ProblemCode } from "./backOff";
import type { LiveProtocol } from "./latencyWindow";

export interface Way {
  protocol: LiveProtocol | "rtsp" | "srt";
  /** null while the server has not said which it is. */
  stream: LiveStream | null;
}

/** A way is left after so many attempts that ended like this without a picture; other ends are not its fault. */
const LEFT_AFTER: Partial<Record<ProblemCode, number>> = { media: 2, no_picture: 2, codec: 1, b_frames: 1 };

function keyOf({ protocol, stream }: Way): string {
  return `${protocol}/${stream ?? ""}`;
}

export class Ways {
  private readonly failures = new Map<string, number>();
  private readonly left = new Set<string>();

  /** True when it is left because of this. Without a path, it is the protocol that fails, whatever the stream. */
  failed(way: Way, code: ProblemCode): boolean {
    const limit = LEFT_AFTER[code];
    const key = code === "media" ? way.protocol : keyOf(way);
    if (limit === undefined || this.left.has(key)) return false;
    const count = (this.failures.get(key) ?? 0) + 1;
    this.failures.set(key, count);
    if (count < limit) return false;
    this.left.add(key);
    return true;
  }

  played(way: Way): void {
    for (const key of [way.protocol, keyOf(way)]) {
      this.failures.delete(key);
      this.left.delete(key);
    }
  }

  /** Some are left: WebRTC as it is, which needs no asking, is no longer the obvious one. */
  get anyLeft(): boolean {
    return this.left.size > 0;
  }

  isLeft(way: Way): boolean {
    return this.left.has(way.protocol) || this.left.has(keyOf(way));
  }

  forget(): void {
    this.failures.clear();
    this.left.clear();
  }
}
