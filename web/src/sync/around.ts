/** What is recorded of a camera around a time, asked for as the time moves on. */
import { fetchRecordings, type Recordings } from "../api/recordings";
import { type Instant, instantAt } from "../timeline/bars";

const STEP_MS = 30 * 60_000;
const FRESH_MS = 5_000;
/** Shorter holes are the borders of files. */
const TOLERANCE_MS = 600;

export type Place =
  | { kind: "unknown" }
  | { kind: "recorded" }
  /** resumesMs: when pictures come again, endedMs: when the last one was; null: not soon, not near. */
  | { kind: "missing"; reason: string | null; resumesMs: number | null; endedMs: number | null };

/** What is at `ms`, of recordings that reach far enough around it. */
export function placeIn(recordings: Recordings, ms: number): Place {
  const inside = recordings.spans.some((span) => ms >= span.startMs - TOLERANCE_MS && ms < span.endMs + TOLERANCE_MS);
  if (inside) return { kind: "recorded" };
  const instant: Instant = instantAt(recordings, ms);
  return {
    kind: "missing",
    reason: instant.kind === "gap" ? instant.gap.reason : null,
    resumesMs: recordings.spans.find((span) => span.startMs > ms)?.startMs ?? null,
    endedMs: recordings.spans.findLast((span) => span.endMs <= ms)?.endMs ?? null,
  };
}

export class RecordingsAround {
  private known: { startMs: number; endMs: number; atMs: number; recordings: Recordings } | null = null;
  private asking = false;

  constructor(private readonly cameraId: string) {}

  place(ms: number): Place {
    const startMs = Math.floor(ms / STEP_MS - 1) * STEP_MS;
    const endMs = startMs + 4 * STEP_MS;
    const { known } = this;
    const covers = known !== null && known.startMs <= ms - 1_000 && known.endMs >= ms + 60_000;
    const grows = known !== null && known.endMs > known.atMs && Date.now() - known.atMs > FRESH_MS;
    if (!covers || known.startMs !== startMs || grows) void this.ask(startMs, endMs);
    return covers ? placeIn(known.recordings, ms) : { kind: "unknown" };
  }

  private async ask(startMs: number, endMs: number): Promise<void> {
    if (this.asking) return;
    this.asking = true;
    const atMs = Date.now();
    try {
      this.known = { startMs, endMs, atMs, recordings: await fetchRecordings(this.cameraId, startMs, endMs) };
    } catch {
      // Asked again; until then what is known stays.
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    } finally {
      this.asking = false;
    }
  }
}
