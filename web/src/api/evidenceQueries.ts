/** Evidence, exports, bookmarks, volumes and alarms, cached and kept fresh. */
import { keepPreviousData, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { evidence } from "./evidence";
import type {
  Alarm,
  Bookmark,
  BookmarkFilter,
  BookmarkPatch,
  EvidenceLock,
  ExportJob,
  NewBookmark,
  NewExport,
  NewLock,
  Release,
  Volume,
} from "./evidenceTypes";

const ALARMS_POLL_MS = 5_000;
const VOLUMES_POLL_MS = 5_000;
const LOCKS_POLL_MS = 10_000;
const BOOKMARKS_POLL_MS = 30_000;
const EXPORTS_BUSY_MS = 1_000;
const EXPORTS_IDLE_MS = 15_000;

const LOCKS = "locks";
const BOOKMARKS = "bookmarks";
const EXPORTS = "exports";

/** A list as it was told last. */
export interface Told<T> {
  /** null: not yet. */
  items: T[] | null;
  /** There are more than these. */
  more: boolean;
  error: Error | null;
}

export function useAlarms(): Alarm[] {
  const { data } = useQuery({
    queryKey: ["alarms"],
    queryFn: ({ signal }) => evidence.alarms(signal),
    refetchInterval: ALARMS_POLL_MS,
    retry: false,
  });
  return data ?? NO_ALARMS;
}
const NO_ALARMS: Alarm[] = [];

export function useVolumes(): Told<Volume> {
  const { data, error } = useQuery({
    queryKey: ["volumes"],
    queryFn: ({ signal }) => evidence.volumes(signal),
    refetchInterval: VOLUMES_POLL_MS,
    retry: false,
  });
  return { items: data ?? null, more: false, error };
}

export function useLocks(cameraId: string | undefined, includeReleased: boolean): Told<EvidenceLock> {
  const { data, error } = useQuery({
    queryKey: [LOCKS, cameraId, includeReleased],
    queryFn: ({ signal }) => evidence.locks(cameraId, includeReleased, signal),
    refetchInterval: LOCKS_POLL_MS,
    placeholderData: keepPreviousData,
    retry: false,
  });
  return { items: data?.locks ?? null, more: (data?.next_cursor ?? null) !== null, error };
}

/** What a lock changes is drawn on timelines too. */
function useLockChange<T>(change: (wanted: T) => Promise<EvidenceLock>) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: change,
    onSuccess: () =>
      Promise.all([
        client.invalidateQueries({ queryKey: [LOCKS] }),
        client.invalidateQueries({ queryKey: ["coverage"] }),
      ]),
  });
}

export const useCreateLock = () => useLockChange((lock: NewLock) => evidence.createLock(lock));
export const useReleaseLock = () =>
  useLockChange(({ id, release }: { id: string; release: Release }) => evidence.releaseLock(id, release));

export function useBookmarks(filter: BookmarkFilter): Told<Bookmark> {
  const { cameraId, text, startMs, endMs } = filter;
  const { data, error } = useQuery({
    queryKey: [BOOKMARKS, cameraId, text, startMs, endMs],
    queryFn: ({ signal }) => evidence.bookmarks(filter, signal),
    refetchInterval: BOOKMARKS_POLL_MS,
    placeholderData: (previous, query) => (query?.queryKey[1] === cameraId ? previous : undefined),
    retry: false,
  });
  return { items: data?.bookmarks ?? null, more: (data?.next_cursor ?? null) !== null, error };
}

export type BookmarkChange =
  | { kind: "create"; bookmark: NewBookmark }
  | { kind: "change"; id: string; patch: BookmarkPatch }
  | { kind: "delete"; id: string };

export function useChangeBookmark() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: async (change: BookmarkChange): Promise<void> => {
      if (change.kind === "create") await evidence.createBookmark(change.bookmark);
      else if (change.kind === "change") await evidence.changeBookmark(change.id, change.patch);
      else await evidence.deleteBookmark(change.id);
    },
    onSuccess: () => client.invalidateQueries({ queryKey: [BOOKMARKS] }),
  });
}

export const isBusy = ({ state }: ExportJob): boolean => state === "queued" || state === "running";

export function useExports(): Told<ExportJob> {
  const { data, error } = useQuery({
    queryKey: [EXPORTS],
    queryFn: ({ signal }) => evidence.exports(signal),
    refetchInterval: ({ state }) => (state.data?.some(isBusy) ? EXPORTS_BUSY_MS : EXPORTS_IDLE_MS),
    retry: false,
  });
  return { items: data ?? null, more: false, error };
}

export function useCreateExport() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (wanted: NewExport) => evidence.createExport(wanted),
    onSuccess: () => client.invalidateQueries({ queryKey: [EXPORTS] }),
  });
}

export function useDeleteExport() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => evidence.deleteExport(id),
    onSettled: () => client.invalidateQueries({ queryKey: [EXPORTS] }),
  });
}
