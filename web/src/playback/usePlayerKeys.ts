/** The camera page's keys; the timeline's own are in timeline/keys.ts. */
import type { Camera } from "../api/types";
import { useShortcuts } from "../app/shortcuts";
import { zoom } from "../timeline/view";
import { RATES } from "./TransportBar";
import type { CameraModel } from "./useCamera";

const JUMP_MS = 10_000;
const FALLBACK_FPS = 25;

export function usePlayerKeys(model: CameraModel, camera: Camera, fullscreen: () => void): void {
  const { controls, playback, changeView, playheadMs } = model;
  const frameS = 1 / (camera.fps ?? FALLBACK_FPS);
  const changeRate = (by: 1 | -1) => {
    const next = RATES[RATES.indexOf(playback.rate) + by];
    if (next !== undefined) controls.setRate(next);
  };
  useShortcuts({
    " ": controls.togglePlay,
    k: controls.togglePlay,
    ArrowLeft: () => controls.seekBy(-JUMP_MS),
    ArrowRight: () => controls.seekBy(JUMP_MS),
    j: () => controls.seekBy(-JUMP_MS),
    ",": () => controls.nudge(-frameS),
    ".": () => controls.nudge(frameS),
    "[": () => changeRate(-1),
    "]": () => changeRate(1),
    l: controls.backToLive,
    g: (event) => controls.gap(event.shiftKey ? -1 : 1),
    i: () => controls.mark("startMs"),
    o: () => controls.mark("endMs"),
    m: controls.toggleMuted,
    f: fullscreen,
    "+": () => changeView((view) => zoom(view, 0.5, playheadMs)),
    "=": () => changeView((view) => zoom(view, 0.5, playheadMs)),
    "-": () => changeView((view) => zoom(view, 2, playheadMs)),
  });
}
