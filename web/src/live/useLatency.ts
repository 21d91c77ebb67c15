/** How old the pictures are when they are shown, camera to screen. */
import { type RefObject, useEffect, useState } from "react";

interface CaptureMetadata extends VideoFrameCallbackMetadata {
  captureTime?: DOMHighResTimeStamp;
}

const SHOW_EVERY_MS = 1_000;
/** Outside of this the clocks disagree, and the figure would mislead. */
const PLAUSIBLE_MS = 20_000;

/**
 * Milliseconds from capture to display, averaged over a second; null when the browser or the camera
 * does not tell (it needs the sender reports and reference times of RFC 3611).
 */
export function useLatency(video: RefObject<HTMLVideoElement | null>, active: boolean): number | null {
  const [latencyMs, setLatencyMs] = useState<number | null>(null);

  useEffect(() => {
    const element = video.current;
    if (!active || !element || !("requestVideoFrameCallback" in element)) return undefined;
    let handle = 0;
    let sum = 0;
    let frames = 0;
    let shownAtMs = 0;
    const onFrame = (now: DOMHighResTimeStamp, metadata: CaptureMetadata) => {
      const age = metadata.expectedDisplayTime - (metadata.captureTime ?? Number.NaN);
      if (age >= 0 && age < PLAUSIBLE_MS) {
        sum += age;
        frames += 1;
      }
      if (now - shownAtMs >= SHOW_EVERY_MS) {
        setLatencyMs(frames > 0 ? sum / frames : null);
        shownAtMs = now;
        sum = 0;
        frames = 0;
      }
      handle = element.requestVideoFrameCallback(onFrame);
    };
    handle = element.requestVideoFrameCallback(onFrame);
    return () => {
      element.cancelVideoFrameCallback(handle);
      setLatencyMs(null);
    };
  }, [video, active]);

  return latencyMs;
}
