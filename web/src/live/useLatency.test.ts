// @vitest-environment jsdom
import { act, renderHook } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { api } from "../api/client";
import { useLatency } from "./useLatency";

type OnFrame = (now: number, metadata: object) => void;

const reported = vi.spyOn(api, "reportViewing").mockResolvedValue(undefined);

function aVideo() {
  let waiting: OnFrame | null = null;
  const element = document.createElement("video");
  Object.assign(element, {
    requestVideoFrameCallback: (callback: OnFrame) => {
      waiting = callback;
      return 1;
    },
    cancelVideoFrameCallback: () => {
      waiting = null;
    },
    getVideoPlaybackQuality: () => ({ droppedVideoFrames: 7 }),
  });
  const show = (atMs: number, ageMs: number | undefined) =>
    act(() =>
      waiting?.(atMs, {
        expectedDisplayTime: atMs,
        captureTime: ageMs === undefined ? undefined : atMs - ageMs,
      }),
    );
  return { ref: { current: element }, show, watched: () => waiting !== null };
}

beforeEach(() => vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  reported.mockClear();
});

test("shows the average of the last second and tells the server every 10 s", () => {
  const video = aVideo();
  const { result } = renderHook(() => useLatency(video.ref, true, "porch", { roundTripMs: 31 }));
  expect(result.current).toBeNull();
  video.show(5_000, 40);
  video.show(5_500, 60);
  video.show(6_000, 80);
  expect(result.current).toEqual({ nowMs: 70, recent: null });
  expect(reported).not.toHaveBeenCalled();
  act(() => vi.advanceTimersByTime(10_000));
  expect(reported).toHaveBeenCalledOnce();
  expect(reported.mock.calls[0]?.[0]).toBe("porch");
  expect(reported.mock.calls[0]?.[1]).toMatchObject({ protocol: "webrtc", frames: 3, dropped: 0, network_ms: 15.5 });
  video.show(17_000, 50);
  expect(result.current?.recent).toEqual({ p50Ms: 60, p95Ms: 80 });
});

test("a browser that does not tell the capture time shows no latency and reports its pictures all the same", () => {
  const video = aVideo();
  const { result } = renderHook(() => useLatency(video.ref, true, "porch", { protocol: "hls" }));
  video.show(5_000, undefined);
  act(() => vi.advanceTimersByTime(10_000));
  expect(result.current).toBeNull();
  expect(reported.mock.calls[0]?.[1]).toEqual({ protocol: "hls", frames: 1, dropped: 0, freezes: 0 });
});

test("nothing is watched or told while the view is not live, and nothing after it", () => {
  const video = aVideo();
  const { rerender, unmount } = renderHook(({ live }) => useLatency(video.ref, live, "porch"), {
    initialProps: { live: false },
  });
  expect(video.watched()).toBe(false);
  rerender({ live: true });
  expect(video.watched()).toBe(true);
  video.show(5_000, 50);
  unmount();
  expect(video.watched()).toBe(false);
  act(() => vi.advanceTimersByTime(30_000));
  expect(reported).not.toHaveBeenCalled();
});
