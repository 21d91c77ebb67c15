/** Which of a camera's streams is on the screen. Pure. */
import type { Camera, LiveStream } from "../api/types";
import type { LiveView } from "./session";

/**
 * The one that the server named; on a bad network it gives the sub stream instead of main by itself, which shows in the
 * picture's width alone. null: not known.
 */
export function streamShown(view: LiveView, camera: Pick<Camera, "width" | "sub">, widthPx: number): LiveStream | null {
  const subWidth = camera.sub?.width ?? null;
  const isSub = widthPx > 0 && widthPx === subWidth && widthPx !== camera.width;
  return view.stream === "main" && isSub ? "sub" : view.stream;
}
