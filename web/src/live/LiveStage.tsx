/** A camera's picture, moving or still, and over it why it is not live. Shared by tile and camera page. */
import type { RefObject } from "react";
import { useTranslation } from "react-i18next";

import { url } from "../api/client";
import type { Camera } from "../api/types";
import { useFormat } from "../i18n/format";
import { LiveVideo } from "./LiveVideo";
import classes from "./live.module.css";
import type { LiveSnapshot } from "./player";
import { TileMessage } from "./TileMessage";
import { REASON_AFTER_MS, type TileStatus } from "./tileState";
import { useSnapshot } from "./useSnapshot";

/** A stream that this browser cannot play live is still shown, as a picture this often. */
const STILL_EVERY_MS = 10_000;

interface Props {
  camera: Camera;
  live: LiveSnapshot;
  status: TileStatus;
  video: RefObject<HTMLVideoElement | null>;
  muted: boolean;
  visible: boolean;
}

export function LiveStage({ camera, live, status, video, muted, visible }: Props) {
  const { t } = useTranslation("live");
  const format = useFormat();
  // Being reconnected for a moment is the badge's to say; the last picture stays as it is.
  const quiet = status.state === "live" || (status.state === "reconnecting" && live.state.silentMs < REASON_AFTER_MS);
  const unsupported = status.state === "unsupported";
  const lastFrameMs = camera.last_frame_at === null ? null : Date.parse(camera.last_frame_at);
  const stillNeeded = visible && (live.stream === null || unsupported) && lastFrameMs !== null;
  // Of a camera that is away, the last picture it recorded.
  const stillAt = camera.state === "live" ? undefined : (lastFrameMs ?? undefined);
  const still = useSnapshot(
    stillNeeded ? url.snapshot(camera.id, stillAt) : null,
    unsupported ? STILL_EVERY_MS : null,
  );
  return (
    <>
      {still !== null && (
        <img className={classes.picture} src={still} alt="" data-dimmed={!unsupported || undefined} />
      )}
      {still !== null && unsupported && (
        <span className={classes.still}>{t("still", { interval: format.duration(STILL_EVERY_MS) })}</span>
      )}
      <LiveVideo
        video={video}
        stream={live.stream}
        muted={muted}
        moving={live.state.phase === "live"}
        dimmed={!quiet}
        label={t("videoLabel", { name: camera.name })}
      />
      {!quiet && <TileMessage status={status} cameraId={camera.id} lastFrameMs={lastFrameMs} />}
    </>
  );
}
