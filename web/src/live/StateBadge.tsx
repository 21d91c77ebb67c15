/** A camera's state in a word and a colour; never by colour alone. */
import { useTranslation } from "react-i18next";

import { useCameras } from "../api/queries";
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
export function RecordingMark({ recording, error }: { recording: boolean; error: string | null }) {
  const { t } = useTranslation("live");
  const { connection } = useCameras();
  if (connection === "lost") return null; // nobody knows
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
