/** Every evidence lock: what it keeps, who asked for it, and which volumes obey it. */
import { Badge, Button, Group, Loader, Select, Stack, Switch, Table, Text } from "@mantine/core";
import { IconLock } from "@tabler/icons-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { useLocks } from "../api/evidenceQueries";
import type { EvidenceLock } from "../api/evidenceTypes";
import type { Camera } from "../api/types";
import { EmptyState } from "../app/EmptyState";
import { Footage } from "./Footage";
import { ListNote } from "./ListNote";
import { ReleaseDialog } from "./ReleaseDialog";
import { useFormat } from "../i18n/format";

export function LocksPanel({ cameras }: { cameras: readonly Camera[] }) {
  const { t } = useTranslation("evidence");
  const [cameraId, setCameraId] = useState<string | null>(null);
  const [released, setReleased] = useState(false);
  const [releasing, setReleasing] = useState<EvidenceLock | null>(null);
  const { items, more, error } = useLocks(cameraId ?? undefined, released);
  return (
    <Stack>
      <Group align="flex-end">
        <CameraFilter cameras={cameras} value={cameraId} onChange={setCameraId} />
        <Switch label={t("locks.released")} checked={released} onChange={(event) => setReleased(event.currentTarget.checked)} mb={6} />
      </Group>
      <ListNote error={error} more={more} />
      {items === null && !error && <Loader aria-label={t("loading")} />}
      {items?.length === 0 && <EmptyState icon={IconLock} title={t("locks.empty")} text={t("locks.emptyText")} />}
      {items && items.length > 0 && (
        <Table.ScrollContainer minWidth={760}>
          <Table verticalSpacing="sm">
            <Table.Thead>
              <Table.Tr>
                <Table.Th scope="col">{t("column.footage")}</Table.Th>
                <Table.Th scope="col">{t("column.reason")}</Table.Th>
                <Table.Th scope="col">{t("column.state")}</Table.Th>
                <Table.Th scope="col">{t("column.volumes")}</Table.Th>
                <Table.Th scope="col" />
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {items.map((lock) => (
                <Row key={lock.id} lock={lock} cameras={cameras} onRelease={() => setReleasing(lock)} />
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
      {releasing && <ReleaseDialog lock={releasing} onClose={() => setReleasing(null)} />}
    </Stack>
  );
}

interface FilterProps {
  cameras: readonly Camera[];
  value: string | null;
  onChange: (cameraId: string | null) => void;
}

export function CameraFilter({ cameras, value, onChange }: FilterProps) {
  const { t } = useTranslation("evidence");
  return (
    <Select
      label={t("filter.camera")}
      placeholder={t("filter.all")}
      searchable
      clearable
      clearButtonProps={{ "aria-label": t("filter.clear") }}
      value={value}
      onChange={onChange}
      data={cameras.map(({ id, name }) => ({ value: id, label: name }))}
    />
  );
}

interface RowProps {
  lock: EvidenceLock;
  cameras: readonly Camera[];
  onRelease: () => void;
}

function Row({ lock, cameras, onRelease }: RowProps) {
  const { t } = useTranslation("evidence");
  const format = useFormat();
  const at = (text: string) => format.dateTime(Date.parse(text));
  return (
    <Table.Tr data-testid={`lock-${lock.id}`} data-holds={lock.holds}>
      <Table.Td>
        <Footage cameraId={lock.camera_id} cameras={cameras} startMs={Date.parse(lock.start)} endMs={Date.parse(lock.end)} />
      </Table.Td>
      <Table.Td maw={280}>
        <Text size="sm" style={{ overflowWrap: "anywhere" }}>
          {lock.reason}
        </Text>
        <Text size="xs" c="dimmed">
          {t("locks.by", { who: lock.created_by, time: at(lock.created_at) })}
        </Text>
      </Table.Td>
      <Table.Td>
        <Badge color={lock.holds ? "violet" : "gray"} variant="light" tt="none">
          {t(lock.holds ? "locks.holds" : "locks.wasReleased")}
        </Badge>
        {lock.released_at !== null && (
          <Text size="xs" c="dimmed" maw={220}>
            {t("locks.by", { who: lock.released_by ?? "", time: at(lock.released_at) })}
            {lock.release_reason !== null && `: ${lock.release_reason}`}
          </Text>
        )}
      </Table.Td>
      <Table.Td>
        {lock.holds && <Volumes lock={lock} />}
      </Table.Td>
      <Table.Td ta="right">
        {lock.holds && (
          <Button size="compact-sm" variant="default" onClick={onRelease} aria-label={t("release.label", { reason: lock.reason })}>
            {t("release.button")}
          </Button>
        )}
      </Table.Td>
    </Table.Tr>
  );
}

function Volumes({ lock }: { lock: EvidenceLock }) {
  const { t } = useTranslation("evidence");
  return (
    <Stack gap={2}>
      {lock.volumes.map(({ volume, holds, detail }) => (
        <Text key={volume} size="xs" c={holds ? "dimmed" : "red"}>
          {t(holds ? "locks.volumeHolds" : "locks.volumeNotYet", { volume })}
          {detail !== "" && ` (${detail})`}
        </Text>
      ))}
    </Stack>
  );
}
