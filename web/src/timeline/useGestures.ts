/**
 * Pointer and wheel on the timeline: drag the ruler to pan, the track to scrub; Shift-drag selects;
 * wheel and two fingers zoom.
 */
import { type PointerEvent, type RefObject, useEffect, useRef, useState } from "react";

import type { Span } from "../api/recordings";
import type { ChangeView } from "./useTimelineView";
import { pan, pinch, toMs, type View, zoom } from "./view";

const CLICK_SLOP_PX = 4;
const WHEEL_ZOOM_PER_PX = 0.0016;

interface Press {
  kind: "pan" | "scrub" | "select";
  startPx: number;
  startMs: number;
  view: View;
  moved: boolean;
}

interface Options {
  element: RefObject<HTMLElement | null>;
  widthPx: number;
  view: View;
  changeView: ChangeView;
  /** Above this height the ruler is, below it the track. */
  rulerPx: number;
  onSeek: (ms: number) => void;
  onSelect: (span: Span) => void;
}

export interface Gestures {
  /** The time under the pointer, while it is over the timeline. */
  hoverMs: number | null;
  /** The time that a drag along the track has reached. */
  scrubMs: number | null;
  handlers: {
    onPointerDown: (event: PointerEvent<HTMLElement>) => void;
    onPointerMove: (event: PointerEvent<HTMLElement>) => void;
    onPointerUp: (event: PointerEvent<HTMLElement>) => void;
    onPointerCancel: (event: PointerEvent<HTMLElement>) => void;
    onPointerLeave: () => void;
  };
}

export function useGestures(options: Options): Gestures {
  const { element, widthPx, view, changeView, rulerPx, onSeek, onSelect } = options;
  const [hoverMs, setHoverMs] = useState<number | null>(null);
  const [scrubMs, setScrubMs] = useState<number | null>(null);
  const press = useRef<Press | null>(null);
  /** Where each finger went down, as time, and where it is now. */
  const fingers = useRef(new Map<number, { ms: number; px: number }>());

  const position = (event: { clientX: number; clientY: number }) => {
    const box = element.current?.getBoundingClientRect();
    return { x: event.clientX - (box?.left ?? 0), y: event.clientY - (box?.top ?? 0) };
  };

  const wheel = (event: WheelEvent) => {
    event.preventDefault();
    const { x } = position(event);
    const sideways = event.shiftKey ? event.deltaY : event.deltaX;
    const perPx = (view.endMs - view.startMs) / Math.max(1, widthPx);
    if (Math.abs(sideways) > Math.abs(event.shiftKey ? 0 : event.deltaY)) {
      changeView((current) => pan(current, sideways * perPx));
    } else {
      const linePx = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 20 : 1;
      const factor = Math.exp(event.deltaY * linePx * WHEEL_ZOOM_PER_PX);
      changeView((current) => zoom(current, factor, toMs(current, widthPx, x)));
    }
  };
  const latestWheel = useRef(wheel);
  useEffect(() => {
    latestWheel.current = wheel;
  });
  useEffect(() => {
    const target = element.current;
    // React's wheel listener is passive and could not keep the page from scrolling.
    const listener = (event: WheelEvent) => latestWheel.current(event);
    target?.addEventListener("wheel", listener, { passive: false });
    return () => target?.removeEventListener("wheel", listener);
  }, [element]);

  const move = (event: PointerEvent<HTMLElement>) => {
    const { x } = position(event);
    const ms = toMs(view, widthPx, x);
    setHoverMs(event.pointerType === "touch" ? null : ms);
    const finger = fingers.current.get(event.pointerId);
    if (finger) finger.px = x;
    const [first, second] = [...fingers.current.values()];
    if (first && second) {
      changeView((current) => pinch(current, widthPx, first, second));
      return;
    }
    const pressed = press.current;
    if (!pressed) return;
    if (Math.abs(x - pressed.startPx) > CLICK_SLOP_PX) pressed.moved = true;
    if (!pressed.moved) return;
    if (pressed.kind === "pan") {
      const deltaMs = pressed.startMs - toMs(pressed.view, widthPx, x);
      changeView(() => pan(pressed.view, deltaMs));
    } else if (pressed.kind === "scrub") {
      setScrubMs(ms);
    } else {
      onSelect({ startMs: Math.min(pressed.startMs, ms), endMs: Math.max(pressed.startMs, ms) });
    }
  };

  const release = (event: PointerEvent<HTMLElement>, cancelled: boolean) => {
    fingers.current.delete(event.pointerId);
    const pressed = press.current;
    press.current = null;
    setScrubMs(null);
    if (!pressed || cancelled) return;
    const ms = toMs(view, widthPx, position(event).x);
    if (pressed.kind === "scrub" || (pressed.kind === "pan" && !pressed.moved)) onSeek(ms);
  };

  return {
    hoverMs,
    scrubMs,
    handlers: {
      onPointerDown: (event) => {
        if (event.button !== 0) return;
        event.currentTarget.setPointerCapture(event.pointerId);
        const { x, y } = position(event);
        const startMs = toMs(view, widthPx, x);
        fingers.current.set(event.pointerId, { ms: startMs, px: x });
        const kind = event.shiftKey ? "select" : y < rulerPx ? "pan" : "scrub";
        press.current =
          fingers.current.size > 1 ? null : { kind, startPx: x, startMs, view, moved: false };
        setScrubMs(null);
      },
      onPointerMove: move,
      onPointerUp: (event) => release(event, false),
      onPointerCancel: (event) => release(event, true),
      onPointerLeave: () => setHoverMs(null),
    },
  };
}
