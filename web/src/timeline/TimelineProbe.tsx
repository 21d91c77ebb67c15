/** What is at the pointed time: its hour, a picture or why there is none. */
import { useTranslation } from "react-i18next";

import type { Recordings } from "../api/recordings";
import { useFormat } from "../i18n/format";
import { instantAt } from "./bars";
import { knownReason } from "./gapKind";
import classes from "./timeline.module.css";
import { type ShownThumbnail, useThumbnail } from "./useThumbnail";
import { spanOf, toPx, type View } from "./view";

/** Pictures are asked for at no more places than these: the pointer's way there is not worth one. */
const LEAST_GRID_MS = 500;
const GRID_PX = 2;
const NEAR_PX = 40;
/** A picture that is older than what is pointed at by more says its own time. */
const SAYS_TIME_MS = 5_000;
const HALF_WIDTH_PX = 118;

interface Props {
  cameraId: string;
  /** Said where there are several cameras. */
  name?: string;
  ms: number;
  view: View;
  widthPx: number;
  recordings: Recordings;
}

export function TimelineProbe({ cameraId, name, ms, view, widthPx, recordings }: Props) {
  const { t } = useTranslation("playback");
  const format = useFormat();
  const msPerPx = spanOf(view) / Math.max(1, widthPx);
  const instant = instantAt(recordings, ms, msPerPx * 2);
  const gridMs = Math.max(LEAST_GRID_MS, msPerPx * GRID_PX);
  const pictureMs = instant.kind === "recorded" ? Math.round(ms / gridMs) * gridMs : null;
  const thumbnail = useThumbnail(cameraId, pictureMs, msPerPx * NEAR_PX);
  const x = toPx(view, widthPx, ms);
  const left = Math.min(Math.max(x, HALF_WIDTH_PX), Math.max(HALF_WIDTH_PX, widthPx - HALF_WIDTH_PX));
  return (
    <div className={classes.tooltip} style={{ left }} role="presentation" data-testid="timeline-probe">
      <div className={classes.thumbnail} data-stale={thumbnail?.stale || undefined}>
        {thumbnail && <img src={thumbnail.address} alt="" data-time={new Date(thumbnail.pictureMs).toISOString()} />}
        {instant.kind === "gap" && (
          <span>
            {t(`gap.${knownReason(instant.gap.reason)}`)} ·{" "}
            {format.duration(instant.gap.endMs - instant.gap.startMs)}
          </span>
        )}
        {instant.kind === "nothing" && <span>{t("timeline.nothing")}</span>}
        {thumbnail && instant.kind === "recorded" && saysTime(thumbnail, ms) && (
          <span>{t("timeline.pictureOf", { time: format.time(thumbnail.pictureMs) })}</span>
        )}
      </div>
      {name !== undefined && <span>{name}</span>}
      <strong>{format.dateTime(ms)}</strong>
    </div>
  );
}

function saysTime(thumbnail: ShownThumbnail, ms: number): boolean {
  return thumbnail.stale || Math.abs(thumbnail.pictureMs - ms) > SAYS_TIME_MS;
}
