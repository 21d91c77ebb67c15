/** The range that will be downloaded. Pure. */
import type { Recordings, Span } from "../api/recordings";

const HALF_SUGGESTION_MS = 30_000;
const FIRST_LENGTH_MS = 10_000;

/** What to offer before anything is chosen: half a minute to each side of what is shown. */
export function suggestion(playheadMs: number, nowMs: number): Span {
  const endMs = Math.min(nowMs, playheadMs + HALF_SUGGESTION_MS);
  return { startMs: endMs - 2 * HALF_SUGGESTION_MS, endMs };
}

/** The selection with one end put to `ms`; the other moves only as far as it must. */
export function marked(selection: Span | null, edge: keyof Span, ms: number): Span {
  if (edge === "startMs") {
    const endMs = selection && selection.endMs > ms ? selection.endMs : ms + FIRST_LENGTH_MS;
    return { startMs: ms, endMs };
  }
  const startMs = selection && selection.startMs < ms ? selection.startMs : ms - FIRST_LENGTH_MS;
  return { startMs, endMs: ms };
}

export interface Content {
  recordedMs: number;
  missingMs: number;
  /** Estimated from the sizes of the recording files. */
  bytes: number;
}

function overlapMs(span: Span, range: Span): number {
  return Math.max(0, Math.min(span.endMs, range.endMs) - Math.max(span.startMs, range.startMs));
}

/** What a range holds: how much of it was recorded, and about how large it is. */
export function contentOf(range: Span, recordings: Recordings): Content {
  const recordedMs = recordings.spans.reduce((sum, span) => sum + overlapMs(span, range), 0);
  const bytes = recordings.segments.reduce((sum, segment) => {
    const lengthMs = Math.max(1, segment.endMs - segment.startMs);
    return sum + segment.bytes * (overlapMs(segment, range) / lengthMs);
  }, 0);
  return { recordedMs, missingMs: Math.max(0, range.endMs - range.startMs - recordedMs), bytes };
}
