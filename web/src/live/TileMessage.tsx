/** What a tile says in its middle while it is not live. */
import { Loader, Text } from "@mantine/core";
import { IconAlertTriangle, IconBroadcast, IconPlayerPause, IconPlugConnectedX, IconVideoOff } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";

import { useFormat } from "../i18n/format";
import classes from "./live.module.css";
import { reasonFor } from "./reasons";
import type { TileState, TileStatus } from "./tileState";

interface Props {
  status: TileStatus;
  cameraId: string;
  /** When its last picture came, where known. */
  lastFrameMs: number | null;
}

function StateIcon({ state }: { state: TileState }) {
  const size = 28;
  switch (state) {
    case "failed":
      return <IconPlugConnectedX size={size} aria-hidden />;
    case "stalled":
      return <IconAlertTriangle size={size} aria-hidden />;
    case "waiting":
      return <IconBroadcast size={size} aria-hidden />;
    case "stopped":
      return <IconPlayerPause size={size} aria-hidden />;
    case "unsupported":
      return <IconVideoOff size={size} aria-hidden />;
    default:
      return <Loader size={24} color="gray.4" aria-hidden />;
  }
}

export function TileMessage({ status, cameraId, lastFrameMs }: Props) {
  const { t } = useTranslation("live");
  const format = useFormat();
  const reason = status.cause && reasonFor(status.cause, t);
  const showsAge = status.state === "failed" || status.state === "stalled";
  return (
    <div className={classes.message} data-state={status.state}>
      <StateIcon state={status.state} />
      <Text className={classes.messageTitle}>{reason?.title ?? t(`state.${status.state}`)}</Text>
      {reason?.detail && <Text className={classes.messageDetail}>{reason.detail}</Text>}
      {showsAge && lastFrameMs !== null && (
        <Text className={classes.messageDetail}>
          {t("lastPicture", { time: format.dateTime(lastFrameMs) })}
        </Text>
      )}
      {status.state === "unsupported" && (
        <Link to={`/cameras/${cameraId}?view=recording`} className={classes.messageLink}>
          {t("openRecording")}
        </Link>
      )}
    </div>
  );
}
