/** What was recorded of many cameras over long times, as the long views of the timeline use it. */
import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";

import { setSite } from "../i18n/zoneChoice";
import { api, ApiError } from "./client";
import type { Span } from "./recordings";
import type { CoverageJson, SpanJson } from "./types";

export interface Coverage {
  spans: Span[];
  /** Where something happened. */
  events: Span[];
  /** What nothing deletes. */
  locked: Span[];
}

export type CoverageByCamera = ReadonlyMap<string, Coverage>;

export const NO_COVERAGE: Coverage = { spans: [], events: [], locked: [] };
const NONE: CoverageByCamera = new Map();
const GROWS_MS = 5_000;
const SITE_STALE_MS = 300_000;

const span = ({ start, end }: SpanJson): Span => ({ startMs: Date.parse(start), endMs: Date.parse(end) });

export function readCoverage(json: CoverageJson): CoverageByCamera {
  return new Map(
    json.cameras.map((camera) => [
      camera.id,
      {
        spans: camera.spans.map(span),
        events: (camera.event_spans ?? []).map(span),
        locked: (camera.locked ?? []).map(span),
      },
    ]),
  );
}

/** What is asked for is not there, as on an older server: that is no fault of the page's. */
export function isAbsent(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 404 || error.status === 501);
}

export interface CoverageAnswer {
  cameras: CoverageByCamera;
  /** The server tells no coverage, or cannot now: `recordings` has to do. */
  absent: boolean;
}

export function useCoverage(
  cameraIds: readonly string[],
  startMs: number,
  endMs: number,
  resolutionS: number,
  enabled = true,
): CoverageAnswer {
  const growing = endMs > Date.now();
  const ids = cameraIds.join(",");
  const { data, error } = useQuery({
    queryKey: ["coverage", ids, startMs, endMs, resolutionS],
    queryFn: async ({ signal }) => readCoverage(await api.coverage(cameraIds, startMs, endMs, resolutionS, signal)),
    enabled: enabled && cameraIds.length > 0,
    refetchInterval: ({ state }) => (growing && !state.error ? Math.max(GROWS_MS, resolutionS * 1_000) : false),
    staleTime: growing ? 0 : 60_000,
    retry: (failures, failure) => failures < 2 && !isAbsent(failure),
    placeholderData: (previous, query) => (query?.queryKey[1] === ids ? previous : undefined),
  });
  return { cameras: data ?? NONE, absent: data === undefined && error instanceof ApiError };
}

/** Learn the site's time zone; without an answer times stay the viewer's. */
export function useSite(): void {
  const { data } = useQuery({
    queryKey: ["system"],
    queryFn: ({ signal }) => api.system(signal),
    staleTime: SITE_STALE_MS,
    retry: (failures, failure) => failures < 5 && !isAbsent(failure),
  });
  useEffect(() => {
    if (data?.site) setSite(data.site.name, data.site.time_zone);
  }, [data]);
}
