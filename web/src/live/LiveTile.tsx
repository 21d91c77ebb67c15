/** One camera in the grid. */
import { ActionIcon, Tooltip } from "@mantine/core";
import { IconArrowsMaximize, IconTimeline, IconVolume, IconVolumeOff } from "@tabler/icons-react";
import { type KeyboardEvent, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, useNavigate } from "react-router";

import type { Camera } from "../api/types";
import { toggleFullscreen } from "../app/fullscreen";
import { useFormat } from "../i18n/format";
import { soundOf } from "../playback/sound";
import { LiveStage } from "./LiveStage";
import classes from "./live.module.css";
import { RecordingMark, StateBadge } from "./StateBadge";
import { tileStatus } from "./tileState";
import { type Latency, useLatency } from "./useLatency";
import { useLive } from "./useLive";
import { useVisible } from "./useVisible";
import { WayMark } from "./WayMark";

interface Props {
  camera: Camera;
  /** The one tile that Tab reaches; arrow keys move it. */
  tabIndex: 0 | -1;
  onFocus: () => void;
}

export function LiveTile({ camera, tabIndex, onFocus }: Props) {
  const { t } = useTranslation("live");
  const format = useFormat();
  const navigate = useNavigate();
  const root = useRef<HTMLElement>(null);
  const video = useRef<HTMLVideoElement>(null);
  const [muted, setMuted] = useState(true);
  const visible = useVisible(root);

  const live = useLive(camera, visible, root);
  const status = tileStatus(camera, live.state);
  const latency = useLatency(video, status.state === "live", camera.id, {
    protocol: live.view?.protocol ?? "webrtc",
    roundTripMs: live.received?.roundTripMs ?? null,
    media: live.stream,
  });
  const page = `/cameras/${camera.id}`;

  const latencyTitle = ({ recent }: Latency) =>
    recent === null
      ? t("latencyHelp")
      : t("latencyRecent", { p50: format.milliseconds(recent.p50Ms), p95: format.milliseconds(recent.p95Ms) });

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.target !== event.currentTarget) return;
    if (event.key === "Enter") void navigate(page);
    else if (event.key === "f" || event.key === "F") toggleFullscreen(root.current);
    else if (event.key === "m" || event.key === "M") setMuted(!muted);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  return (
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions -- a roving-focus group: Enter opens, arrows move
    <article
      ref={root}
      className={classes.tile}
      data-testid={`tile-${camera.id}`}
      data-state={status.state}
      data-unrecorded={camera.recording_state === "failed" || undefined}
      aria-label={t("tileLabel", { name: camera.name, state: t(`state.${status.state}`) })}
      // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- see above
      tabIndex={tabIndex}
      onFocus={onFocus}
      onKeyDown={onKeyDown}
      onDoubleClick={() => void navigate(page)}
    >
      <LiveStage camera={camera} live={live} status={status} video={video} muted={muted} visible={visible} />
      <div className={classes.bottom}>
        <StateBadge state={status.state} />
        <Link to={page} className={classes.name} tabIndex={-1}>
          {camera.name}
        </Link>
        <RecordingMark camera={camera} />
        {status.state === "live" && <WayMark camera={camera} view={live.view} video={video} />}
        {latency !== null && (
          <span className={classes.latency} title={latencyTitle(latency)}>
            {format.milliseconds(latency.nowMs)}
          </span>
        )}
        <span className={classes.actions}>
          {soundOf(camera.audio, false, live.view?.protocol) === "heard" && (
            <TileAction label={t(muted ? "unmute" : "mute")} onClick={() => setMuted(!muted)}>
              {muted ? <IconVolumeOff size={16} /> : <IconVolume size={16} />}
            </TileAction>
          )}
          <TileAction label={t("openRecordings")} onClick={() => void navigate(page)}>
            <IconTimeline size={16} />
          </TileAction>
          <TileAction label={t("fullscreen")} onClick={() => toggleFullscreen(root.current)}>
            <IconArrowsMaximize size={16} />
          </TileAction>
        </span>
      </div>
    </article>
  );
}

interface ActionProps {
  label: string;
  onClick: () => void;
  children: React.ReactNode;
}

function TileAction({ label, onClick, children }: ActionProps) {
  return (
    <Tooltip label={label} openDelay={400}>
      <ActionIcon
        variant="subtle"
        color="gray.0"
        size="sm"
        aria-label={label}
        onClick={onClick}
        onDoubleClick={(event) => event.stopPropagation()}
      >
        {children}
      </ActionIcon>
    </Tooltip>
  );
}
