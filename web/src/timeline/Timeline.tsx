/** What was recorded of a camera, and the place in it: seen, moved, played from and selected. */
import { useElementSize } from "@mantine/hooks";
import { type KeyboardEvent, useRef, useState } from "react";
import { useTranslation } from "react-i18next";

import type { Coverage } from "../api/coverage";
import type { Bookmark } from "../api/evidenceTypes";
import type { Recordings, Span } from "../api/recordings";
import { BookmarkMarks } from "../bookmarks/BookmarkMarks";
import { useFormat } from "../i18n/format";
import { useZone } from "../i18n/zoneChoice";
import { instantAt } from "./bars";
import { knownReason } from "./gapKind";
import { pressKey } from "./keys";
import { RangeHandle } from "./RangeHandle";
import { HEIGHT_PX, RULER_PX, TimelineChart } from "./TimelineChart";
import classes from "./timeline.module.css";
import { TimelineProbe } from "./TimelineProbe";
import { useGestures } from "./useGestures";
import type { ChangeView } from "./useTimelineView";
import type { View } from "./view";

const MIN_SELECTION_MS = 1_000;
/** While it plays, a screen reader is told of the time at this rate. */
const ANNOUNCE_EVERY_MS = 10_000;

interface Props {
  cameraId: string;
  recordings: Recordings;
  coverage: Coverage;
  view: View;
  changeView: ChangeView;
  nowMs: number;
  /** What is shown: the present in live view. */
  playheadMs: number;
  live: boolean;
  selection: Span | null;
  onSelect: (span: Span) => void;
  onSeek: (ms: number) => void;
  onLive: () => void;
  bookmarks: readonly Bookmark[];
}

export function Timeline(props: Props) {
  const { cameraId, recordings, view, changeView, nowMs, playheadMs, live, selection } = props;
  const { t } = useTranslation("playback");
  const format = useFormat();
  const zone = useZone();
  const slider = useRef<HTMLDivElement>(null);
  const { ref: box, width } = useElementSize<HTMLDivElement>();
  const [cursorMs, setCursorMs] = useState<number | null>(null);

  const seek = (ms: number) => {
    setCursorMs(null);
    if (ms >= nowMs) props.onLive();
    else props.onSeek(ms);
  };
  const { hoverMs, scrubMs, handlers } = useGestures({
    element: slider,
    widthPx: width,
    view,
    changeView,
    rulerPx: RULER_PX,
    onSeek: seek,
    onSelect: props.onSelect,
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
    if (result.live) props.onLive();
  };

  const probeMs = scrubMs ?? hoverMs ?? cursorMs;
  const valueMs = cursorMs ?? Math.floor(playheadMs / ANNOUNCE_EVERY_MS) * ANNOUNCE_EVERY_MS;
  const instant = instantAt(recordings, valueMs);
  const what =
    instant.kind === "gap"
      ? t("timeline.gap", { reason: t(`gap.${knownReason(instant.gap.reason)}`) })
      : t(instant.kind === "recorded" ? "timeline.recorded" : "timeline.nothing");

  return (
    <div className={classes.frame} style={{ height: HEIGHT_PX }}>
      <div ref={box} className={classes.box}>
        <div
          ref={slider}
          role="slider"
          tabIndex={0}
          className={classes.slider}
          data-testid="timeline"
          data-start={new Date(view.startMs).toISOString()}
          data-end={new Date(view.endMs).toISOString()}
          aria-label={t("timeline.label")}
          aria-valuemin={Math.round(view.startMs / 1000)}
          aria-valuemax={Math.round(Math.min(nowMs, view.endMs) / 1000)}
          aria-valuenow={Math.round(valueMs / 1000)}
          aria-valuetext={t("timeline.value", { time: format.dateTime(valueMs), what })}
          aria-describedby="timeline-help"
          onKeyDown={onKeyDown}
          onBlur={() => setCursorMs(null)}
          {...handlers}
        >
          {width > 0 && (
            <TimelineChart
              view={view}
              widthPx={width}
              recordings={recordings}
              coverage={props.coverage}
              zone={zone}
              nowMs={nowMs}
              playheadMs={scrubMs ?? playheadMs}
              live={live && scrubMs === null}
              probeMs={probeMs}
              selection={selection}
              format={format}
            />
          )}
        </div>
        {width > 0 && <BookmarkMarks bookmarks={props.bookmarks} view={view} widthPx={width} onSeek={props.onSeek} />}
        {selection && (
          <>
            <RangeHandle
              edge="start"
              label={t("selection.start")}
              ms={selection.startMs}
              minMs={0}
              maxMs={selection.endMs - MIN_SELECTION_MS}
              view={view}
              widthPx={width}
              onMove={(startMs) => props.onSelect({ ...selection, startMs })}
            />
            <RangeHandle
              edge="end"
              label={t("selection.end")}
              ms={selection.endMs}
              minMs={selection.startMs + MIN_SELECTION_MS}
              maxMs={nowMs}
              view={view}
              widthPx={width}
              onMove={(endMs) => props.onSelect({ ...selection, endMs })}
            />
          </>
        )}
        {probeMs !== null && probeMs <= nowMs && (
          <TimelineProbe cameraId={cameraId} ms={probeMs} view={view} widthPx={width} recordings={recordings} />
        )}
      </div>
      <span id="timeline-help" hidden>
        {t("timeline.help")}
      </span>
    </div>
  );
}
