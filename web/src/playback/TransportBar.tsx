/** Play, pause, jump, speed, sound, snapshot: the controls under the picture. */
import { ActionIcon, Button, Select, Text, Tooltip } from "@mantine/core";
import {
  IconArrowsMaximize,
  IconCamera,
  IconChevronsLeft,
  IconChevronsRight,
  IconPlayerPause,
  IconPlayerPlay,
  IconRewindBackward10,
  IconRewindForward10,
  IconVolume,
  IconVolumeOff,
} from "@tabler/icons-react";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { url } from "../api/client";
import type { Camera } from "../api/types";
import { useFormat } from "../i18n/format";
import classes from "./playback.module.css";
import { soundOf } from "./sound";
import type { CameraModel } from "./useCamera";

export const RATES: readonly number[] = [0.5, 1, 2, 4, 8];

interface Props {
  camera: Camera;
  model: CameraModel;
  onFullscreen: () => void;
}

export function TransportBar({ camera, model, onFullscreen }: Props) {
  const { t } = useTranslation("playback");
  const format = useFormat();
  const { playback, playheadMs, muted, controls } = model;
  const { active, paused } = playback;
  const sound = soundOf(camera.audio, active);
  const running = !active || !paused;
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
      <div className={classes.buttons}>
        <Control label={t("previousGap")} onClick={() => controls.gap(-1)}>
          <IconChevronsLeft size={20} />
        </Control>
        <Control label={t("back10")} onClick={() => controls.seekBy(-10_000)}>
          <IconRewindBackward10 size={20} />
        </Control>
        <Control label={t(running ? "pause" : "play")} onClick={controls.togglePlay} strong>
          {running ? <IconPlayerPause size={22} /> : <IconPlayerPlay size={22} />}
        </Control>
        <Control label={t("forward10")} onClick={() => controls.seekBy(10_000)} disabled={!active}>
          <IconRewindForward10 size={20} />
        </Control>
        <Control label={t("nextGap")} onClick={() => controls.gap(1)} disabled={!active}>
          <IconChevronsRight size={20} />
        </Control>
      </div>
      <Text className={classes.clock} component="time" dateTime={new Date(playheadMs).toISOString()}>
        <span className={classes.clockDate}>{format.date(playheadMs)}</span> {format.time(playheadMs)}
      </Text>
      <Select
        size="xs"
        w={84}
        aria-label={t("speed")}
        allowDeselect={false}
        disabled={!active}
        comboboxProps={{ withinPortal: true }}
        value={String(active ? playback.rate : 1)}
        onChange={(value) => controls.setRate(Number(value))}
        data={RATES.map((rate) => ({ value: String(rate), label: format.speed(rate) }))}
      />
      <div className={classes.buttons}>
        <Control
          label={sound === "heard" ? t(muted ? "unmute" : "mute") : t(`sound.${sound}`)}
          onClick={controls.toggleMuted}
          disabled={sound !== "heard"}
        >
          {muted || sound !== "heard" ? <IconVolumeOff size={20} /> : <IconVolume size={20} />}
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
        <Control label={t("fullscreen")} onClick={onFullscreen}>
          <IconArrowsMaximize size={20} />
        </Control>
      </div>
    </div>
  );
}

interface ControlProps {
  label: string;
  onClick: () => void;
  disabled?: boolean;
  strong?: boolean;
  children: ReactNode;
}

function Control({ label, onClick, disabled = false, strong = false, children }: ControlProps) {
  return (
    <Tooltip label={label} openDelay={300}>
      <ActionIcon
        variant={strong ? "light" : "subtle"}
        color={strong ? "signal" : "gray"}
        size="lg"
        aria-label={label}
        disabled={disabled}
        onClick={onClick}
      >
        {children}
      </ActionIcon>
    </Tooltip>
  );
}
