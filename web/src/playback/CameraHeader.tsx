/** Which camera this is, how it is, and the way to the ones beside it. */
import { ActionIcon, Group, Title, Tooltip } from "@mantine/core";
import { IconArrowLeft, IconChevronLeft, IconChevronRight, IconLayoutGrid } from "@tabler/icons-react";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";

import type { Camera } from "../api/types";
import { RecordingMark, StateBadge } from "../live/StateBadge";
import type { TileState } from "../live/tileState";
import classes from "./playback.module.css";

interface Props {
  camera: Camera;
  state: TileState;
  /** What is shown of its recordings; null: the present. */
  atMs: number | null;
  /** Go to another camera, by so many places; null where there is none. */
  onOther: ((offset: number) => void) | null;
  /** What else is to say of what is shown. */
  children?: ReactNode;
}

export function CameraHeader({ camera, state, atMs, onOther, children }: Props) {
  const { t } = useTranslation("playback");
  return (
    <div className={classes.header}>
      <Tooltip label={t("back")}>
        <ActionIcon component={Link} to="/" variant="subtle" color="gray" aria-label={t("back")}>
          <IconArrowLeft size={18} />
        </ActionIcon>
      </Tooltip>
      <Title order={1} size="h4" className={classes.name}>
        {camera.name}
      </Title>
      <StateBadge state={state} />
      <RecordingMark camera={camera} />
      {children}
      {onOther && (
        <Group gap={2} ml="auto" wrap="nowrap">
          <Tooltip label={t("sync.together")}>
            <ActionIcon
              component={Link}
              to={`/playback?cameras=${camera.id}${atMs === null ? "" : `&at=${new Date(atMs).toISOString()}`}`}
              variant="subtle"
              color="gray"
              aria-label={t("sync.together")}
            >
              <IconLayoutGrid size={18} />
            </ActionIcon>
          </Tooltip>
          <ActionIcon variant="subtle" color="gray" aria-label={t("previousCamera")} onClick={() => onOther(-1)}>
            <IconChevronLeft size={18} />
          </ActionIcon>
          <ActionIcon variant="subtle" color="gray" aria-label={t("nextCamera")} onClick={() => onOther(1)}>
            <IconChevronRight size={18} />
          </ActionIcon>
        </Group>
      )}
    </div>
  );
}
