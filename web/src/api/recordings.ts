/** Recordings of one camera in milliseconds since 1970, as the timeline and the player use them. */
import { api } from "./client";
import type { RecordingsJson } from "./types";

export interface Span {
  startMs: number;
  endMs: number;
}

export interface Gap extends Span {
  reason: string;
  /** It has not ended: nothing is being recorded now. */
  open: boolean;
}

export interface Segment extends Span {
  bytes: number;
}

export interface Recordings {
  spans: Span[];
  gaps: Gap[];
  segments: Segment[];
}

export const NO_RECORDINGS: Recordings = { spans: [], gaps: [], segments: [] };

/** Read the API's answer for a range that ends at `endMs`; a gap that still lasts ends there. */
export function readRecordings(json: RecordingsJson, endMs: number): Recordings {
  const span = (item: { start: string; end: string }): Span => ({
    startMs: Date.parse(item.start),
    endMs: Date.parse(item.end),
  });
  return {
    spans: json.spans.map(span),
    segments: json.segments.map((item) => ({ ...span(item), bytes: item.bytes })),
    gaps: json.gaps.map((gap) => ({
      startMs: Date.parse(gap.start),
      endMs: gap.end === null ? endMs : Date.parse(gap.end),
      reason: gap.reason,
      open: gap.end === null,
    })),
  };
}

export async function fetchRecordings(
  cameraId: string,
  startMs: number,
  endMs: number,
  signal?: AbortSignal,
): Promise<Recordings> {
  // A gap that still lasts cannot reach into the future.
  return readRecordings(
    await api.recordings(cameraId, startMs, endMs, signal),
    Math.min(endMs, Date.now()),
  );
}
