/** What the keys do on a focused timeline. Pure. */
import { tickSteps } from "./ticks";
import { pan, reveal, spanOf, type View, zoom } from "./view";

export interface KeyResult {
  /** Where the keyboard's cursor is now; null: on the playhead. */
  cursorMs: number | null;
  view: View;
  /** Play from here. */
  seekMs?: number;
  live?: true;
}

interface KeyPress {
  key: string;
  shiftKey: boolean;
}

/** The result of a key, or null when the timeline has no use for it. */
export function pressKey(
  { key, shiftKey }: KeyPress,
  view: View,
  widthPx: number,
  cursorMs: number | null,
  playheadMs: number,
  nowMs: number,
): KeyResult | null {
  const at = cursorMs ?? playheadMs;
  const moveTo = (ms: number): KeyResult => {
    const next = Math.min(nowMs, ms);
    return { cursorMs: next, view: reveal(view, next, 0.2, 0.8) };
  };
  const stepMs = tickSteps(view, widthPx, 84)[1];
  switch (key) {
    case "ArrowLeft":
    case "ArrowDown":
      return shiftKey ? { cursorMs, view: pan(view, -spanOf(view) / 4) } : moveTo(at - stepMs);
    case "ArrowRight":
    case "ArrowUp":
      return shiftKey ? { cursorMs, view: pan(view, spanOf(view) / 4) } : moveTo(at + stepMs);
    case "PageUp":
      return moveTo(at - spanOf(view) / 2);
    case "PageDown":
      return moveTo(at + spanOf(view) / 2);
    case "Home":
      return moveTo(view.startMs);
    case "End":
      return { cursorMs: null, view: reveal(view, nowMs), live: true };
    case "+":
    case "=":
      return { cursorMs, view: zoom(view, 0.5, at) };
    case "-":
    case "_":
      return { cursorMs, view: zoom(view, 2, at) };
    case "Enter":
    case " ":
      return cursorMs === null ? null : { cursorMs: null, view, seekMs: cursorMs };
    case "Escape":
      return cursorMs === null ? null : { cursorMs: null, view };
    default:
      return null;
  }
}
