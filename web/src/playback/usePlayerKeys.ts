/** The camera page's keys; the timeline's own are in timeline/keys.ts. */
import { useShortcuts } from "../app/shortcuts";
import { zoom } from "../timeline/view";
import { transportKeys } from "./transport";
import type { CameraModel } from "./useCamera";

export function usePlayerKeys(model: CameraModel, fullscreen: () => void, bookmark: () => void): void {
  const { controls, changeView, playheadMs, transport } = model;
  useShortcuts({
    ...transportKeys(transport),
    l: controls.backToLive,
    i: () => controls.mark("startMs"),
    o: () => controls.mark("endMs"),
    m: controls.toggleMuted,
    f: fullscreen,
    b: bookmark,
    "+": () => changeView((view) => zoom(view, 0.5, playheadMs)),
    "=": () => changeView((view) => zoom(view, 0.5, playheadMs)),
    "-": () => changeView((view) => zoom(view, 2, playheadMs)),
  });
}
