/** Exports in the background: how far each is, its file, and what went wrong. */
import { Alert, Badge, Button, Card, Group, Loader, Progress, Stack, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { IconDownload, IconFileExport, IconTrash, IconX } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";

import { exportFile } from "../api/evidence";
import { isBusy, useDeleteExport, useExports } from "../api/evidenceQueries";
import type { ExportJob, ExportState } from "../api/evidenceTypes";
import type { Camera } from "../api/types";
import { EmptyState } from "../app/EmptyState";
import { VerdictBadge } from "../evidence/Badge";
import { ListNote } from "../evidence/ListNote";
import { useFormat } from "../i18n/format";
import { stageKey } from "./exportForm";

const COLOURS: Readonly<Record<ExportState, string>> = {
  queued: "gray",
  running: "signal",
  done: "green",
  failed: "red",
  cancelled: "gray",
};

export function ExportsPanel({ cameras }: { cameras: readonly Camera[] }) {
  const { t } = useTranslation("exports");
  const { items, error } = useExports();
  return (
    <Stack gap="sm">
      <ListNote error={error} more={false} />
      {items === null && !error && <Loader aria-label={t("loading")} />}
      {items?.length === 0 && <EmptyState icon={IconFileExport} title={t("empty.title")} text={t("empty.text")} />}
      {items?.map((job) => <Job key={job.id} job={job} cameras={cameras} />)}
    </Stack>
  );
}

function Job({ job, cameras }: { job: ExportJob; cameras: readonly Camera[] }) {
  const { t } = useTranslation("exports");
  const format = useFormat();
  const names = job.cameras.map((id) => cameras.find((camera) => camera.id === id)?.name ?? id).join(", ");
  const startMs = Date.parse(job.start);
  const facts = [
    `${format.dateTime(startMs)} – ${format.time(Date.parse(job.end))}`,
    job.exact && t("fact.exact"),
    job.burn_in && t("fact.burnIn", { zone: job.burn_in.time_zone }),
    job.archive && t("fact.archive"),
    job.bytes > 0 && format.bytes(job.bytes),
  ].filter(Boolean);
  return (
    <Card withBorder p="sm" component="article" aria-label={job.title || names} data-testid={`export-${job.id}`} data-state={job.state}>
      <Group justify="space-between" align="flex-start">
        <div style={{ minWidth: 0, flex: "1 1 320px" }}>
          <Group gap="xs">
            <Text fw={600}>{job.title || names}</Text>
            <Badge color={COLOURS[job.state]} variant="light" tt="none">
              {t(`state.${job.state}`)}
            </Badge>
            {job.state === "done" && <Proof verified={job.verified} />}
          </Group>
          {job.title !== "" && <Text size="sm">{names}</Text>}
          <Text size="sm" c="dimmed">
            {facts.join(" · ")}
          </Text>
          {job.note !== "" && (
            <Text size="sm" style={{ whiteSpace: "pre-line" }}>
              {job.note}
            </Text>
          )}
          {job.state === "done" && job.expires_at !== null && (
            <Text size="xs" c="dimmed">
              {t("expires", { time: format.dateTime(Date.parse(job.expires_at)) })}
            </Text>
          )}
        </div>
        <Actions job={job} name={job.title || names} />
      </Group>
      {isBusy(job) && <Doing job={job} />}
      {job.state === "failed" && (
        <Alert color="red" p="xs" mt="xs" title={t("failed")}>
          {job.error}
        </Alert>
      )}
    </Card>
  );
}

function Proof({ verified }: { verified: boolean | null }) {
  const { t } = useTranslation("exports");
  if (verified === null) return null;
  return <VerdictBadge verdict={verified ? "verified" : "partly"}>{t(verified ? "proof.verified" : "proof.not")}</VerdictBadge>;
}

function Doing({ job }: { job: ExportJob }) {
  const { t } = useTranslation("exports");
  const format = useFormat();
  const known = stageKey(job.stage);
  const stage = known ? t(`stage.${known}`) : job.stage;
  return (
    <Stack gap={4} mt="xs">
      <Progress.Root size="lg">
        <Progress.Section value={job.progress * 100} animated aria-label={t("progress")} />
      </Progress.Root>
      <Text size="xs" c="dimmed" role="status">
        {job.state === "queued" ? t("waiting") : [format.percent(job.progress), stage].filter((part) => part !== "").join(" · ")}
      </Text>
    </Stack>
  );
}

function Actions({ job, name }: { job: ExportJob; name: string }) {
  const { t } = useTranslation("exports");
  const remove = useDeleteExport();
  const busy = isBusy(job);
  const onRemove = () =>
    remove.mutate(job.id, {
      onError: (error) => notifications.show({ color: "red", message: t("refused", { detail: error.message }) }),
    });
  return (
    <Group gap="xs" wrap="nowrap">
      {job.state === "done" && (
        <Button
          component="a"
          href={exportFile(job.id)}
          download={job.file_name ?? true}
          size="compact-md"
          leftSection={<IconDownload size={16} aria-hidden />}
          aria-label={t("download.label", { name })}
          data-testid="export-file"
        >
          {t("download.button")}
        </Button>
      )}
      <Button
        size="compact-md"
        variant="default"
        loading={remove.isPending}
        leftSection={busy ? <IconX size={16} aria-hidden /> : <IconTrash size={16} aria-hidden />}
        aria-label={t(busy ? "cancel.label" : "remove.label", { name })}
        onClick={onRemove}
      >
        {t(busy ? "cancel.button" : "remove.button")}
      </Button>
    </Group>
  );
}
