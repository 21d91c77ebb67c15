/** The picture of the camera page: live, or playback over it, and what is to say of it. */
import { Button, Loader, Text } from "@mantine/core";
import { IconAlertTriangle } from "@tabler/icons-react";
import type { RefObject } from "react";
import { useTranslation } from "react-i18next";

import type { Camera } from "../api/types";
import { useFormat } from "../i18n/format";
import { LiveStage } from "../live/LiveStage";
import type { LiveSnapshot } from "../live/player";
import type { TileStatus } from "../live/tileState";
import classes from "./playback.module.css";
import type { Playback } from "./usePlayback";

interface Props {
  stage: RefObject<HTMLDivElement | null>;
  /** Where recordings are played. */
  host: RefObject<HTMLDivElement | null>;
  video: RefObject<HTMLVideoElement | null>;
  camera: Camera;
  live: LiveSnapshot;
  status: TileStatus;
  playback: Playback;
  muted: boolean;
  onLive: () => void;
}

export function PlayerArea({ stage, host, video, camera, live, status, playback, muted, onLive }: Props) {
  const { t } = useTranslation("playback");
  const format = useFormat();
  const { active, problem, skipped, loading, wallMs } = playback;
  return (
    <div className={classes.stageFrame}>
      <div
        ref={stage}
        className={classes.stage}
        data-testid={`tile-${camera.id}`}
        data-state={status.state}
        data-mode={active ? "playback" : "live"}
      >
        {!active && (
          <LiveStage camera={camera} live={live} status={status} video={video} muted={muted} visible />
        )}
        <div ref={host} className={classes.host} hidden={!active} />
        {(active || status.state === "live") && (
          <span className={classes.mode} data-mode={active ? "playback" : "live"}>
            {active ? t("mode.playback", { time: format.dateTime(wallMs ?? 0) }) : t("mode.live")}
          </span>
        )}
        {active && problem === null && loading && (
          <div className={classes.overlay}>
            <Loader color="gray.3" aria-label={t("loading")} />
          </div>
        )}
        {active && problem !== null && (
          <div className={classes.overlay} role="alert">
            <IconAlertTriangle size={30} aria-hidden />
            <Text fw={600}>{t(`problem.${problem}`, { codec: camera.codec ?? "" })}</Text>
            <Button size="xs" onClick={onLive}>
              {t("backToLive")}
            </Button>
          </div>
        )}
        {active && skipped && (
          <div className={classes.skipped} role="status">
            {t("skipped", {
              from: format.time(skipped.startMs),
              to: format.time(skipped.endMs),
              duration: format.duration(skipped.endMs - skipped.startMs),
            })}
          </div>
        )}
      </div>
    </div>
  );
}
