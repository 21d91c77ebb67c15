/** The REST API's evidence, exports, bookmarks, volumes and alarms. */
import { API_ROOT, cameraPath, range, request } from "./client";
import type {
  Alarm,
  Bookmark,
  BookmarkFilter,
  BookmarkList,
  BookmarkPatch,
  EvidenceLock,
  ExportJob,
  LockList,
  NewBookmark,
  NewExport,
  NewLock,
  Release,
  Verification,
  Volume,
} from "./evidenceTypes";

/** As many as one answer holds. */
export const PAGE = 200;

const utc = (ms: number) => new Date(ms).toISOString();
const exportPath = (id: string) => `${API_ROOT}/exports/${encodeURIComponent(id)}`;
const lockPath = (id: string) => `${API_ROOT}/locks/${encodeURIComponent(id)}`;
const bookmarkPath = (id: string) => `${API_ROOT}/bookmarks/${encodeURIComponent(id)}`;

/** The address of an export's file, for the browser's own download. */
export const exportFile = (id: string) => `${exportPath(id)}/file`;

/** The query of a list of bookmarks; what is not asked for is left out. */
export function bookmarkQuery({ cameraId, text, startMs, endMs }: BookmarkFilter): string {
  const params = new URLSearchParams({ limit: String(PAGE) });
  if (cameraId !== undefined) params.set("camera_id", cameraId);
  if (text !== undefined && text.trim() !== "") params.set("q", text.trim());
  if (startMs !== undefined) params.set("start", utc(startMs));
  if (endMs !== undefined) params.set("end", utc(endMs));
  return params.toString();
}

export const evidence = {
  /** At most 25 hours. */
  verification: (cameraId: string, startMs: number, endMs: number, signal?: AbortSignal) =>
    request<Verification>("GET", `${cameraPath(cameraId)}/verification?${range(startMs, endMs)}`, undefined, signal),

  locks: (cameraId: string | undefined, includeReleased: boolean, signal?: AbortSignal) => {
    const params = new URLSearchParams({ limit: String(PAGE), include_released: String(includeReleased) });
    if (cameraId !== undefined) params.set("camera_id", cameraId);
    return request<LockList>("GET", `${API_ROOT}/locks?${params.toString()}`, undefined, signal);
  },
  createLock: (lock: NewLock) => request<EvidenceLock>("POST", `${API_ROOT}/locks`, lock),
  releaseLock: (id: string, release: Release) => request<EvidenceLock>("POST", `${lockPath(id)}/release`, release),

  bookmarks: (filter: BookmarkFilter, signal?: AbortSignal) =>
    request<BookmarkList>("GET", `${API_ROOT}/bookmarks?${bookmarkQuery(filter)}`, undefined, signal),
  createBookmark: (bookmark: NewBookmark) => request<Bookmark>("POST", `${API_ROOT}/bookmarks`, bookmark),
  changeBookmark: (id: string, patch: BookmarkPatch) => request<Bookmark>("PATCH", bookmarkPath(id), patch),
  deleteBookmark: (id: string) => request<void>("DELETE", bookmarkPath(id)),

  exports: async (signal?: AbortSignal) =>
    (await request<{ exports: ExportJob[] }>("GET", `${API_ROOT}/exports`, undefined, signal)).exports,
  createExport: (wanted: NewExport) => request<ExportJob>("POST", `${API_ROOT}/exports`, wanted),
  /** Cancels it while it is being made; else its file is deleted. */
  deleteExport: (id: string) => request<void>("DELETE", exportPath(id)),

  volumes: async (signal?: AbortSignal) =>
    (await request<{ volumes: Volume[] }>("GET", `${API_ROOT}/volumes`, undefined, signal)).volumes,
  alarms: async (signal?: AbortSignal) =>
    (await request<{ alarms: Alarm[] }>("GET", `${API_ROOT}/alarms`, undefined, signal)).alarms,
};
