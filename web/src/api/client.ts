/**
 * One door to the REST API: builds addresses, reads answers, turns failures into typed errors.
 *
 * Belongs here: fetch, paths, errors. Does not: caching and polling (queries.ts), media (live, playback).
 */
import type { ViewerReport } from "../live/latencyWindow";
import { type TileSize, withSize } from "../live/tileSize";
import type {
  Camera,
  CameraList,
  CameraPatch,
  CoverageJson,
  EventListJson,
  LiveOptions,
  LiveStream,
  NewCamera,
  Problem,
  ProcessList,
  RecordingsJson,
  RestartAccepted,
  Session,
  SystemJson,
} from "./types";

export const API_ROOT = "/api/v1";

/** The server answered, and the answer is no. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly problem: Problem;
  /** The server asks not to be tried again before. */
  readonly retryAfterMs: number | undefined;

  constructor(status: number, problem: Problem, retryAfter: number | undefined = undefined) {
    super(problem.detail ?? problem.title ?? `HTTP ${status}`);
    this.status = status;
    this.problem = problem;
    this.retryAfterMs = retryAfter;
  }

  /** Messages by field; the field is the last name of the path (`body.source` → `source`). */
  fieldErrors(): Record<string, string> {
    const fields: Record<string, string> = {};
    for (const { path, message } of this.problem.errors ?? []) {
      const field = path.split(/[./]/).findLast((part) => part !== "");
      if (field !== undefined && !(field in fields)) fields[field] = message;
    }
    return fields;
  }
}

/** It passes by itself: nobody answered, or a process behind the one that did is away. */
export function isTransient(error: unknown): boolean {
  return error instanceof Unreachable || (error instanceof ApiError && error.status >= 502 && error.status <= 504);
}

/** Retry-After (RFC 9110 §10.2.3) in milliseconds; absent, a date or nonsense: undefined. */
export function retryAfterMs(header: string | null): number | undefined {
  return header !== null && /^\d{1,6}$/.test(header.trim()) ? Number(header) * 1_000 : undefined;
}

/** No answer came: the server or the network is away. Trying again is safe. */
export class Unreachable extends Error {
  override readonly name = "Unreachable";
}

export function cameraPath(cameraId: string): string {
  return `${API_ROOT}/cameras/${encodeURIComponent(cameraId)}`;
}

export function range(startMs: number, endMs: number): string {
  const start = new Date(startMs).toISOString();
  return new URLSearchParams({ start, end: new Date(endMs).toISOString() }).toString();
}

/** Addresses that the browser's own loaders take (video, img, download). */
export const url = {
  whep: (cameraId: string) => `${cameraPath(cameraId)}/whep`,
  snapshot: (cameraId: string, atMs?: number) =>
    `${cameraPath(cameraId)}/snapshot.jpg` +
    (atMs === undefined ? "" : `?${new URLSearchParams({ at: new Date(atMs).toISOString() }).toString()}`),
  thumbnail: (cameraId: string, atMs: number, width: number) =>
    `${cameraPath(cameraId)}/thumbnail.jpg?` +
    new URLSearchParams({ at: new Date(atMs).toISOString(), width: String(width) }).toString(),
  playlist: (cameraId: string, startMs: number, endMs: number) =>
    `${cameraPath(cameraId)}/playback.m3u8?${range(startMs, endMs)}`,
  exportMp4: (cameraId: string, startMs: number, endMs: number) =>
    `${cameraPath(cameraId)}/export.mp4?${range(startMs, endMs)}`,
};

/** The error that a response which is not ok stands for. */
export async function apiError(response: Response): Promise<ApiError | Unreachable> {
  const json = response.headers.get("content-type")?.includes("json") ?? false;
  // A proxy answers 502 to 504 with a page of its own when the system behind it is away.
  if (!json && response.status >= 502 && response.status <= 504) {
    return new Unreachable(`HTTP ${response.status}`);
  }
  const fallback: Problem = { title: response.statusText };
  const problem = json ? ((await response.json().catch(() => fallback)) as Problem) : fallback;
  return new ApiError(response.status, problem, retryAfterMs(response.headers.get("retry-after")));
}

/** A server that takes longer is as good as away; what it was asked is asked again. */
const ANSWER_WITHIN_MS = 20_000;

export async function request<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const init: RequestInit = { method, headers: { accept: "application/json" }, cache: "no-store" };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { accept: "application/json", "content-type": "application/json" };
  }
  // What changes something may take its time: whether it was done would not be known.
  if (method === "GET") init.signal = AbortSignal.any([AbortSignal.timeout(ANSWER_WITHIN_MS), ...(signal ? [signal] : [])]);
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Unreachable(String(error));
  }
  if (!response.ok) throw await apiError(response);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

export const api = {
  session: (signal?: AbortSignal) => request<Session>("GET", `${API_ROOT}/session`, undefined, signal),
  login: (token: string) => request<unknown>("POST", `${API_ROOT}/session`, { token }),
  logout: () => request<unknown>("DELETE", `${API_ROOT}/session`),
  cameras: async (signal?: AbortSignal) =>
    (await request<CameraList>("GET", `${API_ROOT}/cameras`, undefined, signal)).cameras,
  createCamera: (camera: NewCamera) => request<Camera>("POST", `${API_ROOT}/cameras`, camera),
  updateCamera: (cameraId: string, patch: CameraPatch) =>
    request<Camera>("PATCH", cameraPath(cameraId), patch),
  deleteCamera: (cameraId: string) => request<void>("DELETE", cameraPath(cameraId)),
  /** supports: codecs that this browser plays besides the usual ones. */
  liveOptions: (cameraId: string, supports: readonly string[], size: TileSize | null = null) =>
    request<LiveOptions>(
      "GET",
      withSize(`${cameraPath(cameraId)}/live?${new URLSearchParams({ supports: supports.join(",") }).toString()}`, size),
    ),
  /** session: the address that WHEP gave. What is shown from the next key picture on. */
  changeView: (session: string, wish: TileSize | { stream: LiveStream }) =>
    request<{ stream: LiveStream }>("PUT", `${session}/view`, wish),
  /** What was shown of a live view, and how old it was. */
  reportViewing: (cameraId: string, report: ViewerReport) =>
    request<void>("POST", `${cameraPath(cameraId)}/live/report`, report),
  recordings: (cameraId: string, startMs: number, endMs: number, signal?: AbortSignal) =>
    request<RecordingsJson>(
      "GET",
      `${cameraPath(cameraId)}/recordings?${range(startMs, endMs)}`,
      undefined,
      signal,
    ),
  /** resolutionS: how far apart what is told must be, in seconds. */
  coverage: (cameraIds: readonly string[], startMs: number, endMs: number, resolutionS: number, signal?: AbortSignal) =>
    request<CoverageJson>(
      "GET",
      `${API_ROOT}/coverage?${range(startMs, endMs)}&` +
        new URLSearchParams({ cameras: cameraIds.join(","), resolution: String(resolutionS) }).toString(),
      undefined,
      signal,
    ),
  /** The newest first. */
  events: (cameraId: string, sinceMs: number, untilMs: number, limit: number, signal?: AbortSignal) =>
    request<EventListJson>(
      "GET",
      `${API_ROOT}/events?` +
        new URLSearchParams({
          camera_id: cameraId,
          since: new Date(sinceMs).toISOString(),
          until: new Date(untilMs).toISOString(),
          limit: String(limit),
        }).toString(),
      undefined,
      signal,
    ),
  system: (signal?: AbortSignal) => request<SystemJson>("GET", `${API_ROOT}/system`, undefined, signal),
  processes: async (signal?: AbortSignal) =>
    (await request<ProcessList>("GET", `${API_ROOT}/system/processes`, undefined, signal)).processes,
  restartProcess: (worker: string) =>
    request<RestartAccepted>("POST", `${API_ROOT}/system/processes/${encodeURIComponent(worker)}/restart`),
};
