/** What the pages ask of the API, cached and kept fresh. */
import { keepPreviousData, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { api, ApiError, isTransient } from "./client";
import { fetchRecordings, NO_RECORDINGS, type Recordings } from "./recordings";
import type { Camera, CameraPatch, NewCamera, Process } from "./types";

const CAMERAS_POLL_MS = 2_000;
/** Longer without an answer, what was told last says little about the present. */
export const LOST_AFTER_MS = 15_000;
const RECORDINGS_POLL_MS = 5_000;
const NO_CAMERAS: Camera[] = [];

const SESSION_KEY = ["session"] as const;
const CAMERAS_KEY = ["cameras"] as const;
const PROCESSES_KEY = ["processes"] as const;
const PROCESSES_POLL_MS = 2_000;
const RETRY_FIRST_MS = 500;
const RETRY_LAST_MS = 4_000;

/** What passes by itself is waited for, with what was known still shown; what the server refused stays refused. */
export function shouldRetry(_failures: number, error: Error): boolean {
  return isTransient(error);
}

/** Doubling, half of it random. */
export function retryDelay(failures: number): number {
  const whole = Math.min(RETRY_LAST_MS, RETRY_FIRST_MS * 2 ** failures);
  return whole / 2 + (whole / 2) * Math.random();
}

export function useSession() {
  return useQuery({
    queryKey: SESSION_KEY,
    queryFn: ({ signal }) => api.session(signal),
    // That nobody answers is said soon, and asked again from there.
    retry: (failures, error) => failures < 1 && isTransient(error),
    refetchInterval: ({ state }) => (state.error ? CAMERAS_POLL_MS : false),
  });
}

/** As people look for them; `Camera 10` after `Camera 9`. */
function byName(cameras: Camera[]): Camera[] {
  const { compare } = new Intl.Collator(undefined, { numeric: true });
  return cameras.toSorted((a, b) => compare(a.name, b.name));
}

export interface CamerasAnswer {
  /** As last told. */
  cameras: Camera[];
  /** They have not been told yet. */
  loading: boolean;
  connection: Connection;
}

/** `retrying`: the last attempt found no server, or one that cannot say just now; `lost`: so for long. */
export type Connection = "ok" | "retrying" | "lost";

export function connectionOf(error: Error | null, toldAtMs: number, failedAtMs: number): Connection {
  if (error === null || !isTransient(error)) return "ok";
  return failedAtMs - toldAtMs < LOST_AFTER_MS ? "retrying" : "lost";
}

export function useCameras(): CamerasAnswer {
  const client = useQueryClient();
  const { data, error, dataUpdatedAt, errorUpdatedAt } = useQuery({
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
    loading: data === undefined,
    connection: connectionOf(error, dataUpdatedAt, errorUpdatedAt),
  };
}

/** Recordings of a stretch of time; polled while it may still grow. The previous answer stays while a new one loads. */
export function useRecordings(
  cameraId: string,
  startMs: number,
  endMs: number,
  growing: boolean,
  enabled = true,
): Recordings {
  const { data } = useQuery({
    queryKey: ["recordings", cameraId, startMs, endMs],
    queryFn: ({ signal }) => fetchRecordings(cameraId, startMs, endMs, signal),
    enabled,
    refetchInterval: growing ? RECORDINGS_POLL_MS : false,
    staleTime: growing ? 0 : 60_000,
    placeholderData: (previous, query) =>
      query?.queryKey[1] === cameraId ? keepPreviousData(previous) : undefined,
  });
  return data ?? NO_RECORDINGS;
}

export interface ProcessesAnswer {
  /** As last told; null: not yet. */
  processes: Process[] | null;
  /** Why they were not told the last time. */
  error: Error | null;
  toldAtMs: number;
}

/** The system's processes, polled while the page that asks is shown. */
export function useProcesses(): ProcessesAnswer {
  const { data, error, dataUpdatedAt } = useQuery({
    queryKey: PROCESSES_KEY,
    queryFn: ({ signal }) => api.processes(signal),
    refetchInterval: PROCESSES_POLL_MS,
    retry: false,
  });
  return { processes: data ?? null, error, toldAtMs: dataUpdatedAt };
}

export function useRestartProcess() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: api.restartProcess,
    onSuccess: () => client.invalidateQueries({ queryKey: PROCESSES_KEY }),
  });
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
