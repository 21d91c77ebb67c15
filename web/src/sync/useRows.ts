/** What the rows of many cameras show: coverage, or recordings where the server tells none. */
import { useQueries } from "@tanstack/react-query";
import { useMemo } from "react";

import { type CoverageByCamera, useCoverage } from "../api/coverage";
import { fetchRecordings } from "../api/recordings";
import { coverageRange, resolutionFor } from "../timeline/longView";
import { spanOf, type View } from "../timeline/view";

const MOST_RECORDINGS_MS = 31 * 86_400_000;
const AGAIN_MS = 10_000;

export function useRows(cameraIds: readonly string[], view: View): CoverageByCamera {
  const range = coverageRange(view);
  const { cameras, absent } = useCoverage(cameraIds, range.startMs, range.endMs, resolutionFor(view));
  const fallback = absent && spanOf(view) <= MOST_RECORDINGS_MS;
  const answers = useQueries({
    queries: (fallback ? cameraIds : []).map((id) => ({
      queryKey: ["recordings", id, range.startMs, range.endMs],
      queryFn: ({ signal }: { signal: AbortSignal }) => fetchRecordings(id, range.startMs, range.endMs, signal),
      refetchInterval: AGAIN_MS,
    })),
  });
  const told = answers.map(({ dataUpdatedAt }) => dataUpdatedAt).join();
  const instead = useMemo(
    () =>
      new Map(
        answers.map(({ data }, index) => [cameraIds[index] ?? "", { spans: data?.spans ?? [], events: [], locked: [] }]),
      ),
    // oxlint-disable-next-line react-hooks/exhaustive-deps -- the answers are new objects at each render; `told` changes with them
    [cameraIds, told],
  );
  return fallback ? instead : cameras;
}
