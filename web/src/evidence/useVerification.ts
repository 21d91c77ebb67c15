/** Asking what signatures say: of the picture that is shown, and of a chosen range. */
import { useQuery } from "@tanstack/react-query";
import { useDebouncedValue } from "@mantine/hooks";
import { useEffect, useRef, useState } from "react";

import { evidence } from "../api/evidence";
import type { VerifiedSegment } from "../api/evidenceTypes";
import type { Span } from "../api/recordings";
import { Verdicts } from "./verdict";

/** A picture that is shown for less is passed by, not looked at. */
const SETTLED_MS = 400;
const ASKED_MS = 1_000;
/** What was refused is not asked for as fast as one can. */
const AFTER_ERROR_MS = 5_000;
/** Every byte of a range is read: long ones are asked for in pieces, each answered soon. */
const PIECE_MS = 600_000;
/** A piece is never larger than so many answers. */
const MOST_ANSWERS = 50;

export interface PictureVerification {
  /** Of the recording that is shown; null: none is; undefined: not known yet. */
  segment: VerifiedSegment | null | undefined;
  checking: boolean;
  error: Error | null;
  again: () => void;
}

/** atMs: what is shown; null: no recording is. */
export function useVerification(cameraId: string, atMs: number | null): PictureVerification {
  const [verdicts] = useState(() => new Verdicts());
  const [asked, setAsked] = useState<{ atMs: number; round: number } | null>(null);
  const latest = useRef(atMs);
  useEffect(() => {
    latest.current = atMs;
  });
  const { error, isFetching } = useQuery({
    queryKey: ["verification", cameraId, asked?.atMs, asked?.round],
    queryFn: async ({ signal }) => {
      if (!asked) return null;
      const answer = await evidence.verification(cameraId, asked.atMs, asked.atMs + ASKED_MS, signal);
      verdicts.put(answer, asked.atMs, Date.now());
      return answer;
    },
    enabled: asked !== null,
    staleTime: Infinity,
    gcTime: 0,
  });
  const found = atMs === null ? undefined : verdicts.find(atMs, Date.now());
  const segment = atMs === null ? null : found?.segment;
  const needed = atMs !== null && !found?.fresh;
  useEffect(() => {
    if (!needed || isFetching) return undefined;
    const timer = setTimeout(() => {
      const now = latest.current;
      if (now !== null) setAsked((before) => ({ atMs: Math.floor(now), round: (before?.round ?? 0) + 1 }));
    }, error ? AFTER_ERROR_MS : SETTLED_MS);
    return () => clearTimeout(timer);
  }, [needed, isFetching, error]);
  const again = () => {
    verdicts.forget();
    if (atMs !== null) setAsked((before) => ({ atMs: Math.floor(atMs), round: (before?.round ?? 0) + 1 }));
  };
  return { segment, checking: segment === undefined && error === null, error, again };
}

/** Every recording of the range: what the server leaves for later is asked for until nothing more comes. */
export async function fetchVerification(cameraId: string, { startMs, endMs }: Span, signal: AbortSignal): Promise<VerifiedSegment[]> {
  const found = new Map<string, VerifiedSegment>();
  for (let fromMs = startMs; fromMs < endMs; fromMs += PIECE_MS) {
    for (let answers = 0; answers < MOST_ANSWERS; answers += 1) {
      const known = found.size;
      const { state, segments } = await evidence.verification(cameraId, fromMs, Math.min(endMs, fromMs + PIECE_MS), signal);
      for (const segment of segments) found.set(segment.id, segment);
      // Of the states, these two may be of a part of what there is.
      if ((state !== "partial" && state !== "changed") || found.size === known) break;
    }
  }
  return [...found.values()];
}

export interface RangeVerification {
  /** null: not told yet. */
  segments: VerifiedSegment[] | null;
  error: Error | null;
}

/** Every recording that a range touches, once it has not been changed for a moment. */
export function useRangeVerification(cameraId: string, span: Span, enabled: boolean): RangeVerification {
  const [{ startMs, endMs }] = useDebouncedValue(span, 2 * SETTLED_MS);
  const settled = startMs === span.startMs && endMs === span.endMs;
  const { data, error } = useQuery({
    queryKey: ["verification-range", cameraId, startMs, endMs],
    queryFn: ({ signal }) => fetchVerification(cameraId, { startMs, endMs }, signal),
    enabled: enabled && settled && endMs > startMs,
    staleTime: 30_000,
  });
  // What was said of the range before is not said of this one.
  return { segments: (settled && data) || null, error: settled ? error : null };
}
