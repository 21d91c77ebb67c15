/** A camera's state in a word and a colour; never by colour alone. */
import { useTranslation } from "react-i18next";

import { useCameras } from "../api/queries";
import type { Camera } from "../api/types";
import classes from "./live.module.css";
import type { TileState } from "./tileState";

export function StateBadge({ state }: { state: TileState }) {
  const { t } = useTranslation("live");
  return (
    <span className={classes.badge} data-state={state}>
      <span className={classes.dot} aria-hidden />
      {t(`state.${state}`)}
    </span>
  );
}

/** Whether it is being recorded; that it is not, although it should be, is an alarm. */
export function RecordingMark({ camera }: { camera: Pick<Camera, "recording_state" | "recording_error"> }) {
  const { t } = useTranslation("live");
  const { connection } = useCameras();
  const { recording_state: state, recording_error: error } = camera;
  if (connection === "lost" || state === "off") return null; // nobody knows, or nobody wants it
  if (state === "waiting_event" || state === "not_scheduled") {
    return (
      <span className={classes.recording} data-recording="later" data-testid="recording-mark">
        {t(state === "waiting_event" ? "waitingEvent" : "notScheduled")}
      </span>
    );
  }
  const recording = state === "recording";
  return (
    <span className={classes.recording} data-recording={recording} title={recording ? t("recording") : (error ?? t("notRecording"))}>
      <span className={classes.dot} aria-hidden />
      {recording ? (
        <>
          <span aria-hidden>{t("rec")}</span>
          <span className={classes.hidden}>{t("recording")}</span>
        </>
      ) : (
        <>
          {t("notRecording")}
          {error !== null && <span className={classes.hidden}>{error}</span>}
        </>
      )}
    </span>
  );
}
