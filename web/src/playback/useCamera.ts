/** Everything that the camera page can do: live, playback, jumps, selection. The parts only show it. */
import { notifications } from "@mantine/notifications";
import { type RefObject, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { useSearchParams } from "react-router";

import type { Coverage } from "../api/coverage";
import { fetchRecordings, type Recordings, type Span } from "../api/recordings";
import type { Camera } from "../api/types";
import { useNow } from "../app/useNow";
import { adjacentGap } from "../timeline/bars";
import { type ChangeView, useTimelineView } from "../timeline/useTimelineView";
import { useTrack } from "../timeline/useTrack";
import { reveal, type View } from "../timeline/view";
import { EVENT_LEAD_MS, findEvent } from "./jump";
import { marked } from "./selection";
import type { Transport } from "./transport";
import { type Playback, usePlayback } from "./usePlayback";
import { NEAR_LIVE_MS, recordedBefore } from "./window";

const DAY_MS = 86_400_000;
const SEARCH_GAPS_MS = 7 * DAY_MS;
/** A gap is shown from a little before it. */
const GAP_LEAD_MS = 5_000;
/** The newest picture that is surely on the disk. */
const NEWEST_MS = 2_000;
const RECORDING_LEAD_MS = 60_000;

export interface CameraControls {
  playFrom: (ms: number) => void;
  backToLive: () => void;
  toggleMuted: () => void;
  mark: (edge: keyof Span) => void;
  select: (span: Span | null) => void;
}

export interface CameraModel {
  nowMs: number;
  playback: Playback;
  /** What is shown: the present in live view. */
  playheadMs: number;
  view: View;
  changeView: ChangeView;
  recordings: Recordings;
  coverage: Coverage;
  selection: Span | null;
  muted: boolean;
  controls: CameraControls;
  transport: Transport;
}

/** A minute before the newest recording's end: where to begin when any recording is asked for. */
async function newestPlace(cameraId: string): Promise<number> {
  const nowMs = Date.now();
  const last = (await fetchRecordings(cameraId, nowMs - DAY_MS, nowMs)).spans.at(-1);
  return last ? Math.max(last.startMs, last.endMs - RECORDING_LEAD_MS) : nowMs - RECORDING_LEAD_MS;
}

/** `host` is the element that recordings are played in. */
export function useCamera(camera: Camera, host: RefObject<HTMLElement | null>): CameraModel {
  const { t } = useTranslation("playback");
  const nowMs = useNow(1_000);
  const [muted, setMuted] = useState(true);
  const [selection, select] = useState<Span | null>(null);
  const playback = usePlayback(camera.id, host, t("videoLabel", { name: camera.name }), muted);
  const playheadMs = playback.active ? (playback.wallMs ?? nowMs) : nowMs;
  const [view, changeView] = useTimelineView(playheadMs);
  const { recordings, coverage } = useTrack(camera.id, view, nowMs);
  const [params, setParams] = useSearchParams();

  const player = playback.engine;
  const setAddress = useRef(setParams);
  useEffect(() => {
    setAddress.current = setParams;
  });
  const { goTo, backToLive } = useMemo(
    () => ({
      goTo: (ms: number, paused: boolean) => {
        player?.goTo(ms, paused);
        // A link copied from the address leads to the same picture.
        setAddress.current({ at: new Date(ms).toISOString() }, { replace: true });
        changeView((current) => reveal(current, ms));
      },
      backToLive: () => {
        player?.stop();
        setAddress.current({}, { replace: true });
        changeView((current) => reveal(current, Date.now()));
      },
    }),
    [player, changeView],
  );
  const playFrom = useCallback((ms: number) => goTo(ms, false), [goTo]);

  const asked = useRef({ at: Date.parse(params.get("at") ?? ""), recording: params.get("view") === "recording" });
  useEffect(() => {
    if (!player) return;
    const { at, recording } = asked.current;
    if (!Number.isNaN(at)) playFrom(at);
    else if (recording) void newestPlace(camera.id).then(playFrom, () => undefined);
  }, [player, playFrom, camera.id]);
  const isLive = camera.state === "live";
  useEffect(() => {
    if (!playback.caughtUp) return;
    if (isLive) backToLive();
    else notifications.show({ message: t("endOfRecording") });
  }, [playback.caughtUp, isLive, backToLive, t]);

  const gap = async (direction: 1 | -1) => {
    const from = direction > 0 ? playheadMs : playheadMs - SEARCH_GAPS_MS;
    const near = adjacentGap(recordings.gaps, playheadMs, direction, GAP_LEAD_MS);
    const { gaps } = near ? recordings : await fetchRecordings(camera.id, from, Math.min(nowMs, from + SEARCH_GAPS_MS));
    const found = near ?? adjacentGap(gaps, playheadMs, direction, GAP_LEAD_MS);
    if (found) playFrom(found.startMs - GAP_LEAD_MS);
    else notifications.show({ message: t(direction > 0 ? "gaps.noneAfter" : "gaps.noneBefore") });
  };
  const event = async (direction: 1 | -1) => {
    const found = await findEvent(camera.id, playheadMs, direction);
    if (found !== null) playFrom(found - EVENT_LEAD_MS);
    else notifications.show({ message: t(direction > 0 ? "events.noneAfter" : "events.noneBefore") });
  };
  const offline = () => notifications.show({ message: t("problem.offline") });

  const controls: CameraControls = {
    playFrom,
    backToLive,
    toggleMuted: () => setMuted(!muted),
    mark: (edge) => select(marked(selection, edge, Math.min(playheadMs, nowMs))),
    select,
  };
  const transport: Transport = {
    running: !playback.active || !playback.paused,
    active: playback.active,
    rate: playback.rate,
    actual: playback.actual,
    keyPictures: playback.keyPictures,
    playheadMs,
    togglePlay: () => {
      if (playback.active) return player?.setPaused(!playback.paused);
      goTo(Date.now() - NEWEST_MS, true);
    },
    seekBy: (ms) => {
      const target = ms < 0 ? recordedBefore(recordings.spans, playheadMs, -ms) : playheadMs + ms;
      if (target < nowMs - NEAR_LIVE_MS) goTo(target, playback.active && playback.paused);
      else if (playback.active) backToLive();
    },
    goTo: (ms) => {
      if (ms < nowMs - NEAR_LIVE_MS) goTo(ms, playback.active && playback.paused);
      else backToLive();
    },
    step: (direction) => {
      if (playback.active) player?.step(direction);
    },
    setRate: (rate) => {
      if (playback.active) player?.setRate(rate);
    },
    gap: (direction) => void gap(direction).catch(offline),
    event: (direction) => void event(direction).catch(offline),
  };
  return { nowMs, playback, playheadMs, view, changeView, recordings, coverage, selection, muted, controls, transport };
}
