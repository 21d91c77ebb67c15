/** One end of the selected range: dragged, or moved by the arrow keys. */
import type { KeyboardEvent, PointerEvent } from "react";

import { useFormat } from "../i18n/format";
import classes from "./timeline.module.css";
import { toMs, toPx, type View } from "./view";

interface Props {
  edge: "start" | "end";
  label: string;
  ms: number;
  minMs: number;
  maxMs: number;
  view: View;
  widthPx: number;
  onMove: (ms: number) => void;
}

export function RangeHandle({ edge, label, ms, minMs, maxMs, view, widthPx, onMove }: Props) {
  const format = useFormat();
  const x = toPx(view, widthPx, ms);
  if (x < -8 || x > widthPx + 8) return null;
  const move = (to: number) => onMove(Math.min(maxMs, Math.max(minMs, to)));
  const onKeyDown = (event: KeyboardEvent) => {
    const seconds = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageUp: 60, PageDown: -60 }[event.key];
    if (seconds === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    move(ms + seconds * 1000 * (event.shiftKey ? 10 : 1));
  };
  const onPointerMove = (event: PointerEvent<HTMLElement>) => {
    if (!event.currentTarget.hasPointerCapture(event.pointerId)) return;
    const box = event.currentTarget.parentElement?.getBoundingClientRect();
    if (box) move(toMs(view, widthPx, event.clientX - box.left));
  };
  return (
    <div
      role="slider"
      tabIndex={0}
      className={classes.handle}
      data-edge={edge}
      style={{ left: x }}
      aria-label={label}
      aria-valuemin={Math.round(minMs / 1000)}
      aria-valuemax={Math.round(maxMs / 1000)}
      aria-valuenow={Math.round(ms / 1000)}
      aria-valuetext={format.dateTime(ms)}
      onKeyDown={onKeyDown}
      onPointerDown={(event) => {
        event.preventDefault();
        event.currentTarget.focus();
        event.currentTarget.setPointerCapture(event.pointerId);
      }}
      onPointerMove={onPointerMove}
    />
  );
}
