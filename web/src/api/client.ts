/**
 * One door to the REST API: builds addresses, reads answers, turns failures into typed errors.
 *
 * Belongs here: fetch, paths, errors. Does not: caching and polling (queries.ts), media (live, playback).
 */
import type {
  Camera,
  CameraList,
  CameraPatch,
  NewCamera,
  Problem,
  RecordingsJson,
  Session,
} from "./types";

export const API_ROOT = "/api/v1";

/** The server answered, and the answer is no. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly problem: Problem;

  constructor(status: number, problem: Problem) {
    super(problem.detail ?? problem.title ?? `HTTP ${status}`);
    this.status = status;
    this.problem = problem;
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

/** No answer came: the server or the network is away. Trying again is safe. */
export class Unreachable extends Error {
  override readonly name = "Unreachable";
}

export function cameraPath(cameraId: string): string {
  return `${API_ROOT}/cameras/${encodeURIComponent(cameraId)}`;
}

function range(startMs: number, endMs: number): string {
  const start = new Date(startMs).toISOString();
  return new URLSearchParams({ start, end: new Date(endMs).toISOString() }).toString();
}

/** Addresses that the browser's own loaders take (video, img, download). */
export const url = {
  whep: (cameraId: string) => `${cameraPath(cameraId)}/whep`,
  snapshot: (cameraId: string, atMs?: number) =>
    `${cameraPath(cameraId)}/snapshot.jpg` +
    (atMs === undefined ? "" : `?${new URLSearchParams({ at: new Date(atMs).toISOString() }).toString()}`),
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
  return new ApiError(response.status, problem);
}

async function request<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const init: RequestInit = { method, headers: { accept: "application/json" }, cache: "no-store" };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { accept: "application/json", "content-type": "application/json" };
  }
  if (signal) init.signal = signal;
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
  recordings: (cameraId: string, startMs: number, endMs: number, signal?: AbortSignal) =>
    request<RecordingsJson>(
      "GET",
      `${cameraPath(cameraId)}/recordings?${range(startMs, endMs)}`,
      undefined,
      signal,
    ),
};
