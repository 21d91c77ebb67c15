/** One camera of several that play together. */
import { ActionIcon, Loader, Tooltip } from "@mantine/core";
import { IconAlertTriangle, IconExternalLink, IconHourglass, IconVolume, IconVolumeOff, IconX } from "@tabler/icons-react";
import { useEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";

import type { Camera } from "../api/types";
import { useFormat } from "../i18n/format";
import playbackClasses from "../playback/playback.module.css";
import { soundOf } from "../playback/sound";
import { usePlayback } from "../playback/usePlayback";
import { knownReason } from "../timeline/gapKind";
import type { FollowerState } from "./follower";
import type { SyncGroup } from "./group";
import classes from "./sync.module.css";

interface Props {
  camera: Camera;
  group: SyncGroup | null;
  state: FollowerState | undefined;
  masterMs: number;
  heard: boolean;
  focused: boolean;
  onFocus: () => void;
  onSound: () => void;
  onRemove: () => void;
}

/** Further from the common clock than this, a picture is not of the same moment. */
const APART_MS = 100;

export function SyncTile({ camera, group, state, masterMs, heard, focused, onFocus, onSound, onRemove }: Props) {
  const { t } = useTranslation("playback");
  const host = useRef<HTMLDivElement>(null);
  const { engine } = usePlayback(camera.id, host, t("videoLabel", { name: camera.name }), !heard);
  useEffect(() => {
    if (!group || !engine) return undefined;
    group.add(camera.id, engine);
    return () => group.remove(camera.id);
  }, [group, engine, camera.id]);
  const status = state?.status ?? "loading";
  const offsetMs = state?.offsetMs ?? null;
  return (
    <article
      className={classes.tile}
      data-testid={`sync-${camera.id}`}
      data-status={status}
      data-offset={offsetMs === null ? undefined : Math.round(offsetMs)}
      aria-label={t("sync.focus", { name: camera.name })}
      // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- a roving-focus group: arrows move
      tabIndex={focused ? 0 : -1}
      onFocus={onFocus}
    >
      <div ref={host} className={playbackClasses.host} data-hidden={status === "missing" || undefined} />
      <Message camera={camera} state={state} />
      <div className={classes.bottom}>
        <span className={classes.name}>{camera.name}</span>
        <Offset offsetMs={offsetMs} />
        <span className={classes.actions}>
          {soundOf(camera.audio, true) === "heard" && (
            <Tooltip label={t(heard ? "sync.soundOff" : "sync.sound")}>
              <ActionIcon size="sm" variant="subtle" color="gray.0" aria-label={t(heard ? "sync.soundOff" : "sync.sound")} onClick={onSound}>
                {heard ? <IconVolume size={16} /> : <IconVolumeOff size={16} />}
              </ActionIcon>
            </Tooltip>
          )}
          <Tooltip label={t("sync.open")}>
            <ActionIcon
              size="sm"
              variant="subtle"
              color="gray.0"
              aria-label={t("sync.open")}
              component={Link}
              to={`/cameras/${camera.id}?at=${new Date(masterMs).toISOString()}`}
            >
              <IconExternalLink size={16} />
            </ActionIcon>
          </Tooltip>
          <Tooltip label={t("sync.remove")}>
            <ActionIcon size="sm" variant="subtle" color="gray.0" aria-label={t("sync.remove")} onClick={onRemove}>
              <IconX size={16} />
            </ActionIcon>
          </Tooltip>
        </span>
      </div>
    </article>
  );
}

/** How far the picture is from the common clock; its place is always kept. */
function Offset({ offsetMs }: { offsetMs: number | null }) {
  const { t } = useTranslation("playback");
  const format = useFormat();
  const rounded = offsetMs === null ? null : Math.round(offsetMs);
  return (
    <span
      className={classes.offset}
      data-apart={(rounded !== null && Math.abs(rounded) > APART_MS) || undefined}
      title={rounded === null ? undefined : t("sync.offset", { ms: format.milliseconds(rounded) })}
    >
      {rounded !== null && t("sync.offsetShort", { sign: rounded < 0 ? "−" : "+", ms: Math.abs(rounded) })}
    </span>
  );
}

function Message({ camera, state }: { camera: Camera; state: FollowerState | undefined }) {
  const { t } = useTranslation("playback");
  const format = useFormat();
  if (state?.status === "playing") return null;
  if (state?.status === "problem") {
    return (
      <div className={classes.message} role="alert">
        <IconAlertTriangle size={22} aria-hidden />
        {t(`problem.${state.problem ?? "media"}`, { codec: camera.codec ?? "" })}
      </div>
    );
  }
  if (state?.status !== "missing") {
    return (
      <div className={classes.message}>
        <Loader size={22} color="gray.3" aria-label={t("sync.loading")} />
      </div>
    );
  }
  return (
    <div className={classes.message} role="status">
      <IconHourglass size={22} aria-hidden />
      <strong>{state.reason === null ? t("sync.none") : t(`gap.${knownReason(state.reason)}`)}</strong>
      {state.resumesMs !== null && <span>{t("sync.waiting", { time: format.time(state.resumesMs) })}</span>}
    </div>
  );
}
