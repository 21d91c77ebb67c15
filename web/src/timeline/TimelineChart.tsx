/** The drawing of the timeline: ruler, recorded bars, gaps, present, marks. Knows no gesture. */
import { memo, useMemo } from "react";

import type { Coverage } from "../api/coverage";
import type { Recordings, Span } from "../api/recordings";
import { type Format } from "../i18n/format";
import { gapBars, spanBars } from "./bars";
import { gapKind } from "./gapKind";
import { type Tick, ticks } from "./ticks";
import classes from "./timeline.module.css";
import { toPx, type View } from "./view";

export const RULER_PX = 30;
export const TRACK_PX = 46;
export const HEIGHT_PX = RULER_PX + TRACK_PX + 6;
const STRIP_PX = 5;

interface Props {
  view: View;
  widthPx: number;
  recordings: Recordings;
  /** Events and locks. */
  coverage: Coverage;
  nowMs: number;
  playheadMs: number;
  live: boolean;
  /** Where the pointer or the keyboard's cursor is. */
  probeMs: number | null;
  selection: Span | null;
  format: Format;
  zone: string;
}

/** A mark's text. */
export function tickText(format: Format, { ms, label }: Tick): string {
  switch (label) {
    case "month":
      return format.month(ms);
    case "day":
      return format.day(ms);
    case "minute":
      return format.minute(ms);
    default:
      return format.time(ms);
  }
}

export function TimelineChart(props: Props) {
  const { view, widthPx, nowMs, playheadMs, live, probeMs, selection } = props;
  const x = (ms: number) => toPx(view, widthPx, ms);
  const nowX = x(nowMs);
  return (
    <svg width={widthPx} height={HEIGHT_PX} className={classes.chart} aria-hidden focusable="false">
      <defs>
        <pattern id="vms-hatch" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
          <rect width="3" height="7" className={classes.hatch} />
        </pattern>
      </defs>
      <Scale
        view={view}
        widthPx={widthPx}
        recordings={props.recordings}
        coverage={props.coverage}
        format={props.format}
        zone={props.zone}
      />
      {nowX < widthPx && (
        <rect
          className={classes.future}
          x={Math.max(0, nowX)}
          y={RULER_PX}
          width={widthPx - Math.max(0, nowX)}
          height={TRACK_PX}
        />
      )}
      {selection && (
        <rect
          className={classes.selection}
          x={x(selection.startMs)}
          y={RULER_PX - 4}
          width={Math.max(1, x(selection.endMs) - x(selection.startMs))}
          height={TRACK_PX + 8}
        />
      )}
      {nowX >= 0 && nowX <= widthPx && (
        <line className={classes.now} x1={nowX} x2={nowX} y1={RULER_PX - 6} y2={HEIGHT_PX} />
      )}
      {probeMs !== null && (
        <line className={classes.probe} x1={x(probeMs)} x2={x(probeMs)} y1={RULER_PX - 8} y2={HEIGHT_PX} />
      )}
      <g className={classes.playhead} data-live={live} transform={`translate(${x(playheadMs)} 0)`}>
        <line y1={RULER_PX - 8} y2={HEIGHT_PX} />
        <path d={`M-6 ${RULER_PX - 12}h12v6l-6 7-6-7z`} />
      </g>
    </svg>
  );
}

type ScaleProps = Pick<Props, "view" | "widthPx" | "recordings" | "coverage" | "format" | "zone">;

/** What changes only with the view and the recordings, not ten times a second. */
const Scale = memo(function Scale({ view, widthPx, recordings, coverage, format, zone }: ScaleProps) {
  const bars = useMemo(() => spanBars(recordings.spans, view, widthPx), [recordings, view, widthPx]);
  const gaps = useMemo(() => gapBars(recordings.gaps, view, widthPx), [recordings, view, widthPx]);
  const events = useMemo(() => spanBars(coverage.events, view, widthPx), [coverage, view, widthPx]);
  const locked = useMemo(() => spanBars(coverage.locked, view, widthPx), [coverage, view, widthPx]);
  const marks = useMemo(() => ticks(zone, view, widthPx), [zone, view, widthPx]);
  return (
    <>
      <rect className={classes.track} x={0} y={RULER_PX} width={widthPx} height={TRACK_PX} />
      {bars.map((bar) => (
        <rect key={bar.x} className={classes.recorded} x={bar.x} y={RULER_PX} width={bar.width} height={TRACK_PX} />
      ))}
      {gaps.map((gap) => (
        <g key={gap.x} className={classes.gap} data-kind={gapKind(gap.reason)} data-reason={gap.reason}>
          <rect x={gap.x} y={RULER_PX} width={gap.width} height={TRACK_PX} />
          {gap.width > 6 && (
            <rect x={gap.x} y={RULER_PX} width={gap.width} height={TRACK_PX} fill="url(#vms-hatch)" stroke="none" />
          )}
        </g>
      ))}
      {locked.map((bar) => (
        <rect key={bar.x} className={classes.locked} x={bar.x} y={RULER_PX} width={Math.max(2, bar.width)} height={STRIP_PX} />
      ))}
      {events.map((bar) => (
        <rect
          key={bar.x}
          className={classes.event}
          x={bar.x}
          y={RULER_PX + TRACK_PX - STRIP_PX}
          width={Math.max(2, bar.width)}
          height={STRIP_PX}
        />
      ))}
      {marks.map((mark) => {
        const { ms, label } = mark;
        const x = toPx(view, widthPx, ms);
        return (
          <g key={ms} className={classes.tick} data-label={label}>
            <line x1={x} x2={x} y1={label ? RULER_PX - 10 : RULER_PX - 5} y2={RULER_PX} />
            {label && (
              <text x={x} y={13} textAnchor="middle">
                {tickText(format, mark)}
              </text>
            )}
          </g>
        );
      })}
    </>
  );
});
