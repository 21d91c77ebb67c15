/** How old the pictures are when they are shown, camera to screen; told to the server every few seconds. */
import { type RefObject, useEffect, useRef, useState } from "react";

import { api } from "../api/client";
import { type LatencySummary, LatencyWindow, type LiveProtocol } from "./latencyWindow";
import type { LiveMedia } from "./session";

interface CaptureMetadata extends VideoFrameCallbackMetadata {
  captureTime?: DOMHighResTimeStamp;
  receiveTime?: DOMHighResTimeStamp;
}

export interface Latency {
  /** Averaged over the last second. */
  nowMs: number;
  /** Over the last 10 s or so; null at first. */
  recent: LatencySummary | null;
}

export interface LatencyOptions {
  protocol?: LiveProtocol;
  /** To the server and back, where it is known. */
  roundTripMs?: number | null;
  /** Tells when a picture was captured where the browser does not: see captureClock.ts. */
  media?: LiveMedia | null;
}

const SHOW_EVERY_MS = 1_000;
const REPORT_EVERY_MS = 10_000;
/** Outside of this the clocks disagree, and the figure would mislead. */
const PLAUSIBLE_MS = 20_000;

/**
 * Milliseconds from capture to display; null when the browser or the camera does not tell (it needs the sender
 * reports and reference times of RFC 3611). The server is told what was shown all the same.
 */
export function useLatency(
  video: RefObject<HTMLVideoElement | null>,
  active: boolean,
  cameraId: string,
  { protocol = "webrtc", roundTripMs = null, media = null }: LatencyOptions = {},
): Latency | null {
  const [latency, setLatency] = useState<Latency | null>(null);

  const roundTrip = useRef(roundTripMs);
  useEffect(() => {
    roundTrip.current = roundTripMs;
  }, [roundTripMs]);

  useEffect(() => {
    const element = video.current;
    if (!active || !element || !("requestVideoFrameCallback" in element)) return undefined;
    const window = new LatencyWindow();
    let recent: LatencySummary | null = null;
    let handle = 0;
    let sum = 0;
    let frames = 0;
    let shownAtMs = 0;
    let dropped = droppedOf(element);
    const report = () => {
      recent = window.summary ?? recent;
      const before = dropped;
      dropped = droppedOf(element);
      const told = window.take(protocol, dropped - before);
      if (told === null) return;
      if (roundTrip.current !== null) told.network_ms = roundTrip.current / 2;
      // Figures for the operator: one that does not arrive is not worth another try.
      api.reportViewing(cameraId, told).catch(() => undefined);
    };
    const onFrame = (now: DOMHighResTimeStamp, metadata: CaptureMetadata) => {
      const { expectedDisplayTime: shownMs, captureTime, receiveTime, mediaTime } = metadata;
      const told = media !== null && "capturedMs" in media ? media.capturedMs(mediaTime) : Number.NaN;
      const capturedMs = captureTime ?? told;
      window.note({ shownMs, capturedMs, receivedMs: receiveTime ?? Number.NaN });
      const age = shownMs - capturedMs;
      if (age >= 0 && age < PLAUSIBLE_MS) {
        sum += age;
        frames += 1;
      }
      if (now - shownAtMs >= SHOW_EVERY_MS) {
        setLatency(frames > 0 ? { nowMs: sum / frames, recent } : null);
        shownAtMs = now;
        sum = 0;
        frames = 0;
      }
      handle = element.requestVideoFrameCallback(onFrame);
    };
    const onHidden = () => window.pause();
    handle = element.requestVideoFrameCallback(onFrame);
    const reporter = setInterval(report, REPORT_EVERY_MS);
    document.addEventListener("visibilitychange", onHidden);
    return () => {
      element.cancelVideoFrameCallback(handle);
      clearInterval(reporter);
      document.removeEventListener("visibilitychange", onHidden);
      setLatency(null);
    };
  }, [video, active, cameraId, protocol, media]);

  return latency;
}

function droppedOf(element: HTMLVideoElement): number {
  return element.getVideoPlaybackQuality?.().droppedVideoFrames ?? 0;
}
