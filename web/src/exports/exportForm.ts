/** What is asked of an export, its checks and what is sent. Pure. */
import type { NewExport } from "../api/evidenceTypes";
import type { Span } from "../api/recordings";
import type { Content } from "../playback/selection";

export interface ExportForm extends Span {
  cameraIds: string[];
  exact: boolean;
  burnIn: boolean;
  timeZone: string;
  archive: boolean;
  title: string;
  note: string;
}

/** As the API takes it at most. */
export const MOST_CAMERAS = 32;
const MOST_MS = 25 * 3_600_000;

/** Which message of the catalog (`form.problem.<key>`) stands in the way. */
export type ExportProblem = "noCamera" | "tooManyCameras" | "reversed" | "tooLong";

export function problemOf({ cameraIds, startMs, endMs }: ExportForm): ExportProblem | null {
  if (cameraIds.length === 0) return "noCamera";
  if (cameraIds.length > MOST_CAMERAS) return "tooManyCameras";
  if (endMs <= startMs) return "reversed";
  return endMs - startMs > MOST_MS ? "tooLong" : null;
}

/** Several cameras' clips do not fit into one MP4. */
export const needsArchive = ({ cameraIds }: ExportForm): boolean => cameraIds.length > 1;

export function newExport(form: ExportForm): NewExport {
  return {
    cameras: form.cameraIds,
    start: new Date(form.startMs).toISOString(),
    end: new Date(form.endMs).toISOString(),
    exact: form.exact,
    burn_in: form.burnIn ? { time: true, time_zone: form.timeZone } : null,
    archive: form.archive || needsArchive(form),
    title: form.title.trim(),
    note: form.note.trim(),
  };
}

/** What all cameras' parts hold together; null while one of them is not known. */
export function together(contents: readonly (Content | null)[]): Content | null {
  return contents.reduce<Content | null>(
    (sum, content) =>
      sum && content && {
        recordedMs: sum.recordedMs + content.recordedMs,
        missingMs: sum.missingMs + content.missingMs,
        bytes: sum.bytes + content.bytes,
      },
    { recordedMs: 0, missingMs: 0, bytes: 0 },
  );
}

/** Stages of the server that the app has words for (`stage.<key>`). */
const STAGES: Readonly<Record<string, "clips" | "checking">> = {
  "making the clips": "clips",
  "checking what was written": "checking",
};

export function stageKey(stage: string): "clips" | "checking" | null {
  return STAGES[stage] ?? null;
}
