/** The controls under the picture of one camera. */
import { ActionIcon, Button, Tooltip } from "@mantine/core";
import { IconArrowsMaximize, IconCamera, IconVolume, IconVolumeOff } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";

import { url } from "../api/client";
import type { Camera } from "../api/types";
import type { LiveProtocol } from "../live/latencyWindow";
import { Control } from "./Control";
import classes from "./playback.module.css";
import { hasSound } from "./rates";
import { soundOf } from "./sound";
import { TransportButtons } from "./TransportButtons";
import type { CameraModel } from "./useCamera";

interface Props {
  camera: Camera;
  model: CameraModel;
  /** By which the present comes; undefined while that is not known. */
  liveBy: LiveProtocol | undefined;
  onFullscreen: () => void;
}

export function TransportBar({ camera, model, liveBy, onFullscreen }: Props) {
  const { t } = useTranslation("playback");
  const { playback, playheadMs, muted, controls } = model;
  const { active } = playback;
  const sound = soundOf(camera.audio, active, liveBy);
  const tooFast = active && !hasSound(playback.rate);
  const snapshotName = `${camera.id}-${new Date(playheadMs).toISOString().replaceAll(":", "-")}.jpg`;
  return (
    <div className={classes.transport} role="toolbar" aria-label={t("controls")}>
      <Button
        size="compact-sm"
        data-testid="back-to-live"
        variant={active ? "filled" : "light"}
        color={active ? "red.8" : "gray"}
        onClick={controls.backToLive}
        disabled={!active}
        leftSection={<span className={classes.liveDot} data-live={!active && camera.state === "live"} aria-hidden />}
      >
        {t(active ? "backToLive" : "mode.live")}
      </Button>
      <TransportButtons transport={model.transport} nowMs={model.nowMs} />
      <div className={classes.buttons}>
        <Control
          label={sound !== "heard" ? t(`sound.${sound}`) : tooFast ? t("sound.tooFast") : t(muted ? "unmute" : "mute")}
          shortcut="M"
          onClick={controls.toggleMuted}
          disabled={sound !== "heard" || tooFast}
        >
          {muted || tooFast || sound !== "heard" ? <IconVolumeOff size={20} /> : <IconVolume size={20} />}
        </Control>
        <Tooltip label={t("snapshot")}>
          <ActionIcon
            component="a"
            href={url.snapshot(camera.id, active ? playheadMs : undefined)}
            download={snapshotName}
            data-testid="snapshot-download"
            variant="subtle"
            color="gray"
            size="lg"
            aria-label={t("snapshot")}
          >
            <IconCamera size={20} />
          </ActionIcon>
        </Tooltip>
        <Control label={t("fullscreen")} shortcut="F" onClick={onFullscreen}>
          <IconArrowsMaximize size={20} />
        </Control>
      </div>
    </div>
  );
}
