/** Finds what to play: the next window of recordings from a time on, or the last one before it. */
import { fetchRecordings, type Span } from "../api/recordings";
import { planWindow, planWindowBefore, WINDOW_MS } from "./window";

const DAY_MS = 86_400_000;
/** Looking back for something recorded, further and further. */
const LOOK_BACK_MS = [WINDOW_MS, DAY_MS, 31 * DAY_MS, 365 * DAY_MS] as const;

/** What plays `ms`, or what comes first after it; null when nothing does. Raises as fetchRecordings. */
export async function windowFrom(cameraId: string, ms: number): Promise<Span | null> {
  const nowMs = Date.now();
  const near = await fetchRecordings(cameraId, ms, Math.min(nowMs, ms + WINDOW_MS));
  const window = planWindow(near, ms, nowMs);
  if (window || ms + WINDOW_MS >= nowMs) return window;
  return planWindow(await fetchRecordings(cameraId, ms + WINDOW_MS, nowMs), ms, nowMs);
}

/** What ends at `ms`, or what comes last before it; null when nothing does. Raises as fetchRecordings. */
export async function windowBefore(cameraId: string, ms: number): Promise<Span | null> {
  for (const lookMs of LOOK_BACK_MS) {
    const window = planWindowBefore(await fetchRecordings(cameraId, ms - lookMs, ms), ms);
    if (window) return window;
  }
  return null;
}
