/** Live and playback of one camera in one place, with its timeline. */
import { useMemo, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";

import type { Camera } from "../api/types";
import { useBookmarks } from "../api/evidenceQueries";
import { toggleFullscreen } from "../app/fullscreen";
import { useTitle } from "../app/useTitle";
import { BookmarkDialog, type BookmarkSubject } from "../bookmarks/BookmarkDialog";
import { useVerification } from "../evidence/useVerification";
import { ChangedAlert, VerifiedBadge } from "../evidence/VerifiedBadge";
import { tileStatus } from "../live/tileState";
import { useLatency } from "../live/useLatency";
import { useLive } from "../live/useLive";
import { Timeline } from "../timeline/Timeline";
import { TimelineToolbar } from "../timeline/TimelineToolbar";
import { fetchRange } from "../timeline/view";
import { CameraFacts } from "./CameraFacts";
import { CameraHeader } from "./CameraHeader";
import { PlayerArea } from "./PlayerArea";
import classes from "./playback.module.css";
import { SelectionPanel } from "./SelectionPanel";
import { TransportBar } from "./TransportBar";
import { useCamera } from "./useCamera";
import { usePlayerKeys } from "./usePlayerKeys";

interface Props {
  camera: Camera;
  cameras: Camera[];
}

export function CameraView({ camera, cameras }: Props) {
  const { t } = useTranslation("playback");
  useTitle(camera.name);
  const navigate = useNavigate();
  const stage = useRef<HTMLDivElement>(null);
  const video = useRef<HTMLVideoElement>(null);
  const host = useRef<HTMLDivElement>(null);
  const cameraIds = useMemo(() => [camera.id], [camera.id]);
  const model = useCamera(camera, host);
  const { playback, controls, recordings, selection } = model;
  const live = useLive(camera, !playback.active);
  const status = tileStatus(camera, live.state);
  const latency = useLatency(video, !playback.active && status.state === "live", camera.id, {
    protocol: live.view?.protocol ?? "webrtc",
    roundTripMs: live.received?.roundTripMs ?? null,
    media: live.stream,
  });
  const fullscreen = () => toggleFullscreen(stage.current);
  const verification = useVerification(camera.id, playback.active ? model.playheadMs : null);
  const { items: bookmarks } = useBookmarks({ cameraId: camera.id, ...fetchRange(model.view) });
  const [marking, setMarking] = useState<BookmarkSubject | null>(null);
  const markHere = () => {
    const ms = Math.min(model.playheadMs, Date.now());
    setMarking({ cameraId: camera.id, span: { startMs: ms, endMs: ms } });
  };
  usePlayerKeys(model, fullscreen, markHere);

  const goTo = (offset: number) => {
    const other = cameras.at((cameras.indexOf(camera) + offset) % cameras.length);
    if (other) void navigate(`/cameras/${other.id}`);
  };

  return (
    <div className={classes.page}>
      <CameraHeader
        camera={camera}
        state={playback.active ? camera.state : status.state}
        atMs={playback.active ? model.playheadMs : null}
        onOther={cameras.length > 1 ? goTo : null}
      >
        {playback.active && <VerifiedBadge verification={verification} />}
      </CameraHeader>
      <div className={classes.player}>
        <PlayerArea
          stage={stage}
          host={host}
          video={video}
          camera={camera}
          live={live}
          status={status}
          playback={playback}
          muted={model.muted}
          onLive={controls.backToLive}
        />
        <TransportBar camera={camera} model={model} liveBy={live.view?.protocol} onFullscreen={fullscreen} />
      </div>
      <aside className={classes.aside}>
        {playback.active && <ChangedAlert segment={verification.segment} />}
        <SelectionPanel
          camera={camera}
          recordings={recordings}
          selection={selection}
          onSelect={controls.select}
          playheadMs={model.playheadMs}
          nowMs={model.nowMs}
          onBookmark={(span) => setMarking({ cameraId: camera.id, span })}
        />
        <CameraFacts camera={camera} live={live} latencyMs={latency?.nowMs ?? null} watching={!playback.active} />
      </aside>
      <section className={classes.timeline} aria-label={t("timeline.label")}>
        <TimelineToolbar cameraIds={cameraIds} model={model} />
        <Timeline
          cameraId={camera.id}
          recordings={recordings}
          coverage={model.coverage}
          view={model.view}
          changeView={model.changeView}
          nowMs={model.nowMs}
          playheadMs={model.playheadMs}
          live={!playback.active}
          selection={selection}
          onSelect={controls.select}
          onSeek={controls.playFrom}
          onLive={controls.backToLive}
          bookmarks={bookmarks ?? []}
        />
      </section>
      {marking && <BookmarkDialog subject={marking} onClose={() => setMarking(null)} />}
    </div>
  );
}
