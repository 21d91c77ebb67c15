/** The picture for the pointed time, or the nearest one that is here, which says its own time. */
import { useEffect, useSyncExternalStore } from "react";

import { type Thumbnail, Thumbnails } from "./thumbnails";
import { thumbnailSource } from "./thumbnailSource";

export interface ShownThumbnail extends Thumbnail {
  /** It is of another time than the one that is pointed at: the right one is on its way. */
  stale: boolean;
}

/** The cameras that were pointed at last keep their pictures: the pointer comes back. */
const CAMERAS = 16;
const pool = new Map<string, Thumbnails>();

function thumbnailsOf(cameraId: string): Thumbnails {
  const thumbnails =
    pool.get(cameraId) ?? new Thumbnails(thumbnailSource(cameraId), (address) => URL.revokeObjectURL(address));
  pool.delete(cameraId);
  pool.set(cameraId, thumbnails);
  const [oldest] = pool.keys();
  if (pool.size > CAMERAS && oldest !== undefined) {
    pool.get(oldest)?.destroy();
    pool.delete(oldest);
  }
  return thumbnails;
}

/** ms: null where nothing is pointed at, or nothing recorded. withinMs: how far another picture may be. */
export function useThumbnail(cameraId: string, ms: number | null, withinMs: number): ShownThumbnail | null {
  const thumbnails = thumbnailsOf(cameraId);
  useSyncExternalStore(thumbnails.subscribe, thumbnails.snapshot);
  useEffect(() => {
    if (ms === null) thumbnails.forget();
    else thumbnails.want(ms);
  }, [thumbnails, ms]);
  useEffect(() => () => thumbnails.forget(), [thumbnails]);
  if (ms === null) return null;
  const exact = thumbnails.at(ms);
  if (exact) return { ...exact, stale: false };
  const near = thumbnails.nearest(ms, withinMs);
  return near && { ...near, stale: true };
}
