/** What is at the pointed time: its hour, a picture or why there is none. */
import { useDebouncedValue } from "@mantine/hooks";
import { useTranslation } from "react-i18next";

import { url } from "../api/client";
import type { Recordings } from "../api/recordings";
import { useFormat } from "../i18n/format";
import { instantAt } from "./bars";
import { knownReason } from "./gapKind";
import classes from "./timeline.module.css";
import { spanOf, toPx, type View } from "./view";

/** Each picture is decoded by the server: only where the pointer rests, and at so many places of a view. */
const REST_MS = 180;
const PICTURES_PER_VIEW = 200;
const HALF_WIDTH_PX = 92;

interface Props {
  cameraId: string;
  ms: number;
  view: View;
  widthPx: number;
  recordings: Recordings;
}

export function TimelineProbe({ cameraId, ms, view, widthPx, recordings }: Props) {
  const { t } = useTranslation("playback");
  const format = useFormat();
  const instant = instantAt(recordings, ms, (spanOf(view) / Math.max(1, widthPx)) * 2);
  const gridMs = Math.max(1000, spanOf(view) / PICTURES_PER_VIEW);
  const [pictureMs] = useDebouncedValue(Math.round(ms / gridMs) * gridMs, REST_MS);
  const pictured = instant.kind === "recorded" && Math.abs(pictureMs - ms) <= gridMs * 2;
  const x = toPx(view, widthPx, ms);
  const left = Math.min(Math.max(x, HALF_WIDTH_PX), Math.max(HALF_WIDTH_PX, widthPx - HALF_WIDTH_PX));
  return (
    <div className={classes.tooltip} style={{ left }} role="presentation">
      {pictured && instantAt(recordings, pictureMs).kind === "recorded" && (
        <img key={pictureMs} src={url.snapshot(cameraId, pictureMs)} alt="" className={classes.thumbnail} />
      )}
      <strong>{format.dateTime(ms)}</strong>
      {instant.kind === "gap" && (
        <span>
          {t(`gap.${knownReason(instant.gap.reason)}`)} ·{" "}
          {format.duration(instant.gap.endMs - instant.gap.startMs)}
        </span>
      )}
      {instant.kind === "nothing" && <span>{t("timeline.nothing")}</span>}
    </div>
  );
}
