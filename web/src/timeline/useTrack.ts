/** What one camera's timeline shows of a view: recordings close up, coverage from afar, events and locks always. */
import { useMemo } from "react";

import { type Coverage, NO_COVERAGE, useCoverage } from "../api/coverage";
import { useRecordings } from "../api/queries";
import type { Recordings } from "../api/recordings";
import { coverageRange, LONG_MS, resolutionFor } from "./longView";
import { fetchRange, spanOf, type View } from "./view";

/** As much as a server without coverage is asked for. */
const MOST_RECORDINGS_MS = 31 * 86_400_000;

export interface Track {
  recordings: Recordings;
  coverage: Coverage;
  /** Told by coverage alone: without gaps' reasons. */
  long: boolean;
}

export function useTrack(cameraId: string, view: View, nowMs: number): Track {
  const range = coverageRange(view);
  const { cameras, absent } = useCoverage([cameraId], range.startMs, range.endMs, resolutionFor(view));
  const coverage = cameras.get(cameraId) ?? NO_COVERAGE;
  const wide = spanOf(view) > LONG_MS;
  const long = wide && !absent;
  const near = fetchRange(view);
  const asks = !long && spanOf(view) <= MOST_RECORDINGS_MS;
  const recordings = useRecordings(cameraId, near.startMs, near.endMs, near.endMs > nowMs, asks);
  return useMemo(
    () => ({ recordings: long ? { spans: coverage.spans, gaps: [], segments: [] } : recordings, coverage, long }),
    [recordings, coverage, long],
  );
}
