/** One time axis for many cameras, a row each: seen, moved and played from. */
import { useElementSize } from "@mantine/hooks";
import { type KeyboardEvent, useEffect, useMemo, useRef, useState } from "react";
import { useTranslation } from "react-i18next";

import { type CoverageByCamera, NO_COVERAGE } from "../api/coverage";
import { useFormat } from "../i18n/format";
import { useZone } from "../i18n/zoneChoice";
import { pressKey } from "./keys";
import { drawRows, rowAt, rowHeight } from "./rows";
import { RULER_PX, tickText } from "./TimelineChart";
import classes from "./timeline.module.css";
import { TimelineProbe } from "./TimelineProbe";
import { ticks } from "./ticks";
import { useGestures } from "./useGestures";
import type { ChangeView } from "./useTimelineView";
import { toPx, type View } from "./view";

interface Props {
  cameras: readonly { id: string; name: string }[];
  coverage: CoverageByCamera;
  view: View;
  changeView: ChangeView;
  nowMs: number;
  playheadMs: number;
  onSeek: (ms: number) => void;
}

export function RowsTimeline({ cameras, coverage, view, changeView, nowMs, playheadMs, onSeek }: Props) {
  const { t } = useTranslation("playback");
  const format = useFormat();
  const slider = useRef<HTMLDivElement>(null);
  const { ref: box, width } = useElementSize<HTMLDivElement>();
  const [cursorMs, setCursorMs] = useState<number | null>(null);
  const [row, setRow] = useState(0);
  const heightPx = RULER_PX + rowHeight(cameras.length) * cameras.length;
  const seek = (ms: number) => {
    setCursorMs(null);
    onSeek(Math.min(ms, nowMs));
  };
  const { hoverMs, scrubMs, handlers } = useGestures({
    element: slider,
    widthPx: width,
    view,
    changeView,
    rulerPx: RULER_PX,
    onSeek: seek,
    onSelect: () => undefined,
  });
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const result = pressKey(event, view, width, cursorMs, playheadMs, nowMs);
    if (!result) return;
    event.preventDefault();
    event.stopPropagation();
    setCursorMs(result.cursorMs);
    changeView(() => result.view);
    if (result.seekMs !== undefined) seek(result.seekMs);
    if (result.live) seek(nowMs);
  };
  const probeMs = scrubMs ?? hoverMs ?? cursorMs;
  const pointed = cameras[Math.min(row, cameras.length - 1)];
  const spans = (pointed && coverage.get(pointed.id)?.spans) ?? NO_COVERAGE.spans;
  return (
    <div className={classes.frame} style={{ height: heightPx }}>
      <div ref={box} className={classes.box}>
        <div
          ref={slider}
          role="slider"
          tabIndex={0}
          className={classes.slider}
          data-testid="timeline"
          data-start={new Date(view.startMs).toISOString()}
          data-end={new Date(view.endMs).toISOString()}
          aria-label={t("timeline.rows", { count: cameras.length })}
          aria-valuemin={Math.round(view.startMs / 1000)}
          aria-valuemax={Math.round(Math.min(nowMs, view.endMs) / 1000)}
          aria-valuenow={Math.round((cursorMs ?? playheadMs) / 1000)}
          aria-valuetext={format.dateTime(cursorMs ?? playheadMs)}
          onKeyDown={onKeyDown}
          onBlur={() => setCursorMs(null)}
          {...handlers}
          onPointerMove={(event) => {
            const top = event.currentTarget.getBoundingClientRect().top + RULER_PX;
            setRow(rowAt(event.clientY - top, cameras.length));
            handlers.onPointerMove(event);
          }}
        >
          {width > 0 && (
            <>
              <Ruler view={view} widthPx={width} />
              <Rows cameras={cameras} coverage={coverage} view={view} widthPx={width} />
              <Marks view={view} widthPx={width} heightPx={heightPx} nowMs={nowMs} playheadMs={scrubMs ?? playheadMs} probeMs={probeMs} />
            </>
          )}
        </div>
        {probeMs !== null && probeMs <= nowMs && pointed && (
          <TimelineProbe
            cameraId={pointed.id}
            name={pointed.name}
            ms={probeMs}
            view={view}
            widthPx={width}
            recordings={{ spans, gaps: [], segments: [] }}
          />
        )}
      </div>
    </div>
  );
}

function Ruler({ view, widthPx }: { view: View; widthPx: number }) {
  const format = useFormat();
  const zone = useZone();
  const marks = useMemo(() => ticks(zone, view, widthPx), [zone, view, widthPx]);
  return (
    <svg width={widthPx} height={RULER_PX} className={classes.chart} aria-hidden focusable="false">
      {marks.map((mark) => {
        const x = toPx(view, widthPx, mark.ms);
        return (
          <g key={mark.ms} className={classes.tick} data-label={mark.label}>
            <line x1={x} x2={x} y1={mark.label ? RULER_PX - 10 : RULER_PX - 5} y2={RULER_PX} />
            {mark.label && (
              <text x={x} y={13} textAnchor="middle">
                {tickText(format, mark)}
              </text>
            )}
          </g>
        );
      })}
    </svg>
  );
}

function Rows({ cameras, coverage, view, widthPx }: Pick<Props, "cameras" | "coverage" | "view"> & { widthPx: number }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const heightPx = rowHeight(cameras.length) * cameras.length;
  const ids = useMemo(() => cameras.map(({ id }) => id), [cameras]);
  useEffect(() => {
    const element = canvas.current;
    const context = element?.getContext("2d");
    if (!element || !context) return;
    const scale = window.devicePixelRatio || 1;
    element.width = Math.round(widthPx * scale);
    element.height = Math.round(heightPx * scale);
    context.setTransform(scale, 0, 0, scale, 0, 0);
    const style = getComputedStyle(element);
    const colour = (name: string) => style.getPropertyValue(name).trim();
    drawRows(context, ids, coverage, view, widthPx, {
      track: colour("--vms-track"),
      recorded: colour("--mantine-primary-color-filled"),
      event: "#f2b134",
      locked: "#b08cff",
    });
  }, [ids, coverage, view, widthPx, heightPx]);
  return <canvas ref={canvas} style={{ width: widthPx, height: heightPx, display: "block" }} aria-hidden />;
}

interface MarksProps {
  view: View;
  widthPx: number;
  heightPx: number;
  nowMs: number;
  playheadMs: number;
  probeMs: number | null;
}

function Marks({ view, widthPx, heightPx, nowMs, playheadMs, probeMs }: MarksProps) {
  const x = (ms: number) => toPx(view, widthPx, ms);
  return (
    <svg width={widthPx} height={heightPx} className={classes.marks} aria-hidden focusable="false">
      <line className={classes.now} x1={x(nowMs)} x2={x(nowMs)} y1={RULER_PX - 6} y2={heightPx} />
      {probeMs !== null && <line className={classes.probe} x1={x(probeMs)} x2={x(probeMs)} y1={RULER_PX - 8} y2={heightPx} />}
      <g className={classes.playhead} transform={`translate(${x(playheadMs)} 0)`}>
        <line y1={RULER_PX - 8} y2={heightPx} />
        <path d={`M-6 ${RULER_PX - 12}h12v6l-6 7-6-7z`} />
      </g>
    </svg>
  );
}
