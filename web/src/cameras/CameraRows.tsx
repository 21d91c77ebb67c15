/** The cameras as a table, or as cards where a table does not fit. */
import { ActionIcon, Anchor, Badge, Card, Group, Stack, Table, Text, Tooltip } from "@mantine/core";
import { IconLock, IconPencil, IconTrash } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";

import type { Camera, RecordingState, SubStream as SubStreamState } from "../api/types";
import { useFormat } from "../i18n/format";
import { reasonFor } from "../live/reasons";
import { StateBadge } from "../live/StateBadge";
import { NO_PUBLISHER } from "../live/tileState";
import { retentionMs } from "./cameraForm";

export interface RowActions {
  onEdit: (camera: Camera) => void;
  onDelete: (camera: Camera) => void;
}

type RowProps = RowActions & { camera: Camera };

export function CameraTable({ cameras, ...actions }: RowActions & { cameras: Camera[] }) {
  const { t } = useTranslation("cameras");
  return (
    <Table.ScrollContainer minWidth={820}>
      <Table verticalSpacing="sm" highlightOnHover>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>{t("column.camera")}</Table.Th>
            <Table.Th>{t("column.state")}</Table.Th>
            <Table.Th>{t("column.stream")}</Table.Th>
            <Table.Th>{t("column.recording")}</Table.Th>
            <Table.Th>{t("column.source")}</Table.Th>
            <Table.Th />
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {cameras.map((camera) => (
            <Table.Tr key={camera.id}>
              <Table.Td>
                <Names camera={camera} />
              </Table.Td>
              <Table.Td>
                <State camera={camera} />
              </Table.Td>
              <Table.Td>
                <Stream camera={camera} />
              </Table.Td>
              <Table.Td>
                <Recording camera={camera} />
              </Table.Td>
              <Table.Td maw={260}>
                <Text size="sm" c="dimmed" truncate title={camera.source}>
                  {camera.source}
                </Text>
              </Table.Td>
              <Table.Td>
                <Actions camera={camera} {...actions} />
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

export function CameraCards({ cameras, ...actions }: RowActions & { cameras: Camera[] }) {
  return (
    <Stack gap="sm">
      {cameras.map((camera) => (
        <Card key={camera.id} withBorder p="sm">
          <Group justify="space-between" wrap="nowrap" align="flex-start">
            <Names camera={camera} />
            <Actions camera={camera} {...actions} />
          </Group>
          <Stack gap={4} mt="xs">
            <State camera={camera} />
            <Stream camera={camera} />
            <Recording camera={camera} />
            <Text size="sm" c="dimmed" truncate>
              {camera.source}
            </Text>
          </Stack>
        </Card>
      ))}
    </Stack>
  );
}

function Names({ camera }: { camera: Camera }) {
  return (
    <div>
      <Anchor component={Link} to={`/cameras/${camera.id}`} fw={600}>
        {camera.name}
      </Anchor>
      <Text size="xs" c="dimmed" ff="monospace">
        {camera.id}
      </Text>
    </div>
  );
}

function State({ camera }: { camera: Camera }) {
  const { t } = useTranslation("live");
  const reason =
    camera.state === "live" || camera.reason === null
      ? null
      : reasonFor({ from: "camera", code: camera.reason_code, text: camera.reason }, t);
  return (
    <div>
      <StateBadge state={camera.reason_code === NO_PUBLISHER ? "waiting" : camera.state} />
      {reason && (
        <Text size="xs" c="dimmed" maw={280} title={camera.reason ?? ""}>
          {reason.title}
        </Text>
      )}
    </div>
  );
}

function Stream({ camera }: { camera: Camera }) {
  const { t } = useTranslation("playback");
  const format = useFormat();
  const { codec, width, height, fps, bitrate } = camera;
  const parts = [
    codec?.toUpperCase(),
    width !== null && height !== null && `${width}×${height}`,
    fps !== null && t("facts.fpsValue", { fps: format.number(fps, 1) }),
    bitrate !== null && format.bitrate(bitrate),
  ].filter(Boolean);
  return (
    <div>
      <Text size="sm">{parts.length > 0 ? parts.join(" · ") : "–"}</Text>
      {camera.sub && <SubStream cameraId={camera.id} sub={camera.sub} />}
    </div>
  );
}

function SubStream({ cameraId, sub }: { cameraId: string; sub: SubStreamState }) {
  const { t } = useTranslation("cameras");
  const { width, height, state } = sub;
  const size = width !== null && height !== null ? ` · ${width}×${height}` : "";
  return (
    <Text size="xs" c={state === "failed" ? "red" : "dimmed"} title={sub.reason ?? ""} data-testid={`sub-${cameraId}`} data-state={state}>
      {t(`sub.${state}`)}
      {size}
    </Text>
  );
}

const RECORDING_COLOURS = {
  recording: "green",
  waiting_event: "blue",
  not_scheduled: "gray",
  off: "gray",
  failed: "red",
} as const satisfies Record<RecordingState, string>;

function Recording({ camera }: { camera: Camera }) {
  const { t } = useTranslation("cameras");
  const format = useFormat();
  const { record, recording_state: state } = camera;
  if (record === "off") return <Text size="sm">{t("recording.off")}</Text>;
  return (
    <div data-testid={`recording-${camera.id}`} data-state={state}>
      <Group gap="0 6px">
        <Badge miw="max-content" color={RECORDING_COLOURS[state]} variant="light" tt="none">
          {t(`recording.${state}`)}
        </Badge>
        {record !== "continuous" && <Text size="xs">{t(`mode.${record}.name`)}</Text>}
      </Group>
      <Text size="xs" c="dimmed" maw={260}>
        {camera.recording_error ?? t("recording.kept", { retention: format.duration(retentionMs(camera.retention)) })}
      </Text>
    </div>
  );
}

function Actions({ camera, onEdit, onDelete }: RowProps) {
  const { t } = useTranslation("cameras");
  if (camera.managed_by === "file") {
    return (
      <Tooltip label={t("managedByFile")} multiline w={260}>
        <Badge variant="default" tt="none" style={{ flexShrink: 0 }} miw="max-content" leftSection={<IconLock size={12} />} tabIndex={0} aria-label={t("managedByFile")}>
          {t("file")}
        </Badge>
      </Tooltip>
    );
  }
  return (
    <Group gap={2} wrap="nowrap" justify="flex-end">
      <ActionIcon
        variant="subtle"
        color="gray"
        aria-label={t("edit", { name: camera.name })}
        onClick={() => onEdit(camera)}
      >
        <IconPencil size={18} />
      </ActionIcon>
      <ActionIcon
        variant="subtle"
        color="red"
        aria-label={t("remove", { name: camera.name })}
        onClick={() => onDelete(camera)}
      >
        <IconTrash size={18} />
      </ActionIcon>
    </Group>
  );
}
