/** Thumbnails as the API gives them, as addresses of blobs. */
import { apiError, url } from "../api/client";
import type { FetchThumbnail } from "./thumbnails";

export const THUMBNAIL_WIDTH = 240;

export function thumbnailSource(cameraId: string): FetchThumbnail {
  return async (ms, signal) => {
    const response = await fetch(url.thumbnail(cameraId, ms, THUMBNAIL_WIDTH), { signal });
    if (response.status === 404) return null;
    if (!response.ok) throw await apiError(response);
    const pictureMs = Date.parse(response.headers.get("x-time") ?? "");
    // A picture of nobody knows when is none.
    if (Number.isNaN(pictureMs)) return null;
    return { pictureMs, address: URL.createObjectURL(await response.blob()) };
  };
}
