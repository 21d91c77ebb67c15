/** What the pages ask of the API, cached and kept fresh. */
import { keepPreviousData, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { api, ApiError, Unreachable } from "./client";
import { fetchRecordings, NO_RECORDINGS, type Recordings } from "./recordings";
import type { Camera, CameraPatch, NewCamera } from "./types";

const CAMERAS_POLL_MS = 2_000;
const RECORDINGS_POLL_MS = 5_000;
const NO_CAMERAS: Camera[] = [];

const SESSION_KEY = ["session"] as const;
const CAMERAS_KEY = ["cameras"] as const;

/** One retry is for a lost connection; what the server refused stays refused. */
export function shouldRetry(failures: number, error: Error): boolean {
  return error instanceof Unreachable && failures < 1;
}

export function useSession() {
  return useQuery({
    queryKey: SESSION_KEY,
    queryFn: ({ signal }) => api.session(signal),
    refetchInterval: ({ state }) => (state.error ? CAMERAS_POLL_MS : false),
  });
}

/** As people look for them; `Camera 10` after `Camera 9`. */
function byName(cameras: Camera[]): Camera[] {
  const { compare } = new Intl.Collator(undefined, { numeric: true });
  return cameras.toSorted((a, b) => compare(a.name, b.name));
}

export interface CamerasAnswer {
  cameras: Camera[];
  /** No answer has come yet, good or bad. */
  loading: boolean;
  /** The last attempt found no server. */
  offline: boolean;
  error: Error | null;
}

export function useCameras(): CamerasAnswer {
  const client = useQueryClient();
  const { data, error, isPending } = useQuery({
    queryKey: CAMERAS_KEY,
    queryFn: async ({ signal }) => {
      try {
        return byName(await api.cameras(signal));
      } catch (failure) {
        // The session ended elsewhere: asking for it again leads to the login page.
        if (failure instanceof ApiError && failure.status === 401) {
          void client.invalidateQueries({ queryKey: SESSION_KEY });
        }
        throw failure;
      }
    },
    refetchInterval: CAMERAS_POLL_MS,
    retry: false,
  });
  return {
    cameras: data ?? NO_CAMERAS,
    loading: isPending,
    offline: error instanceof Unreachable,
    error,
  };
}

/** Recordings of a stretch of time; polled while it may still grow. The previous answer stays while a new one loads. */
export function useRecordings(cameraId: string, startMs: number, endMs: number, growing: boolean): Recordings {
  const { data } = useQuery({
    queryKey: ["recordings", cameraId, startMs, endMs],
    queryFn: ({ signal }) => fetchRecordings(cameraId, startMs, endMs, signal),
    refetchInterval: growing ? RECORDINGS_POLL_MS : false,
    staleTime: growing ? 0 : 60_000,
    placeholderData: (previous, query) =>
      query?.queryKey[1] === cameraId ? keepPreviousData(previous) : undefined,
  });
  return data ?? NO_RECORDINGS;
}

export function useLogin() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: api.login,
    onSuccess: () => client.resetQueries(),
  });
}

export function useLogout() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: api.logout,
    onSettled: () => client.resetQueries(),
  });
}

export type CameraChange =
  | { kind: "create"; camera: NewCamera }
  | { kind: "update"; id: string; patch: CameraPatch }
  | { kind: "delete"; id: string };

export function useChangeCamera() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: async (change: CameraChange): Promise<void> => {
      if (change.kind === "create") await api.createCamera(change.camera);
      else if (change.kind === "update") await api.updateCamera(change.id, change.patch);
      else await api.deleteCamera(change.id);
    },
    onSuccess: () => client.invalidateQueries({ queryKey: CAMERAS_KEY }),
  });
}
