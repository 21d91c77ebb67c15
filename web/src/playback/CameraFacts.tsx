/** What is known of the stream, measured. */
import { Paper, Title } from "@mantine/core";
import { useTranslation } from "react-i18next";

import type { Camera } from "../api/types";
import { retentionMs } from "../cameras/cameraForm";
import { useFormat } from "../i18n/format";
import type { LiveSnapshot } from "../live/player";
import classes from "./playback.module.css";

interface Props {
  camera: Camera;
  live: LiveSnapshot;
  latencyMs: number | null;
  /** The live picture is being shown. */
  watching: boolean;
}

export function CameraFacts({ camera, live, latencyMs, watching }: Props) {
  const { t } = useTranslation("playback");
  const format = useFormat();
  const { codec, width, height, fps, bitrate, audio } = camera;
  const received = watching ? live.received : null;
  const facts: [string, string | null][] = [
    [t("facts.video"), codec?.toUpperCase() ?? null],
    [t("facts.size"), width === null || height === null ? null : `${width} × ${height}`],
    [t("facts.fps"), fps === null ? null : t("facts.fpsValue", { fps: format.number(fps, 1) })],
    [t("facts.bitrate"), bitrate === null ? null : format.bitrate(bitrate)],
    [t("facts.audio"), audio?.toUpperCase() ?? t("facts.noAudio")],
    [t("facts.latency"), latencyMs === null ? null : format.milliseconds(latencyMs)],
    [t("facts.lost"), received && format.number(received.packetsLost)],
    [t("facts.viewers"), format.number(camera.viewers)],
    [t("facts.retention"), camera.record === "off" ? t("facts.notRecorded") : format.duration(retentionMs(camera.retention))],
    [t("facts.source"), camera.source],
  ];
  return (
    <Paper withBorder p="sm" component="section" aria-label={t("facts.title")}>
      <Title order={2} size="h6" mb={6}>
        {t("facts.title")}
      </Title>
      <dl className={classes.facts}>
        {facts.map(
          ([name, value]) =>
            value !== null && (
              <div key={name}>
                <dt>{name}</dt>
                <dd>{value}</dd>
              </div>
            ),
        )}
      </dl>
    </Paper>
  );
}
