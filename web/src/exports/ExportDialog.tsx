/** Order an export: which cameras, when, and how. */
import { Alert, Button, Checkbox, Group, Modal, MultiSelect, Stack, Text, Textarea, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useDebouncedValue } from "@mantine/hooks";
import { useQueries } from "@tanstack/react-query";
import { IconFileExport } from "@tabler/icons-react";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";

import { useCreateExport } from "../api/evidenceQueries";
import { fetchRecordings, type Span } from "../api/recordings";
import type { Camera } from "../api/types";
import { useFormat } from "../i18n/format";
import { ZoneSelect } from "../i18n/ZoneSelect";
import { useZones } from "../i18n/zoneChoice";
import { InstantInput } from "../playback/InstantInput";
import { contentOf, type Content } from "../playback/selection";
import { type ExportForm, needsArchive, newExport, problemOf, together } from "./exportForm";

interface Props {
  cameras: readonly Camera[];
  /** Chosen to begin with. */
  cameraIds: readonly string[];
  range: Span;
  nowMs: number;
  onClose: () => void;
}

const SETTLED_MS = 400;
/** Shorter holes are the rounding of frame durations, not something missing. */
const WORTH_SAYING_MS = 1_000;

export function ExportDialog({ cameras, cameraIds, range, nowMs, onClose }: Props) {
  const { t } = useTranslation("exports");
  const { site, shown } = useZones();
  const navigate = useNavigate();
  const create = useCreateExport();
  const [form, setForm] = useState<ExportForm>(() => ({
    cameraIds: [...cameraIds],
    ...range,
    exact: true,
    burnIn: false,
    timeZone: site ?? shown,
    archive: false,
    title: "",
    note: "",
  }));
  const change = (part: Partial<ExportForm>) => setForm((before) => ({ ...before, ...part }));
  const problem = problemOf(form);
  const content = useContent(form);
  const empty = content !== null && content.recordedMs === 0;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (problem !== null || empty) return;
    create.mutate(newExport(form), {
      onSuccess: () => {
        notifications.show({ message: t("begun") });
        onClose();
        void navigate("/evidence/exports");
      },
    });
  };
  return (
    <Modal opened onClose={onClose} size="lg" title={t("form.title")} closeButtonProps={{ "aria-label": t("form.cancel") }}>
      <form onSubmit={submit} data-testid="export-form">
        <Stack gap="sm">
          {create.error && <Alert color="red">{t("refused", { detail: create.error.message })}</Alert>}
          <MultiSelect
            label={t("form.cameras")}
            searchable
            value={form.cameraIds}
            onChange={(ids) => change({ cameraIds: ids })}
            data={cameras.map(({ id, name }) => ({ value: id, label: name }))}
          />
          <Group grow align="flex-start">
            <InstantInput label={t("form.start")} value={form.startMs} maxMs={nowMs} onChange={(startMs) => change({ startMs })} />
            <InstantInput label={t("form.end")} value={form.endMs} maxMs={nowMs} onChange={(endMs) => change({ endMs })} />
          </Group>
          <Estimate form={form} content={content} />
          <Choices form={form} change={change} />
          <TextInput label={t("form.name")} maxLength={200} value={form.title} onChange={(event) => change({ title: event.currentTarget.value })} />
          <Textarea
            label={t("form.note")}
            description={t("form.noteHelp")}
            autosize
            minRows={2}
            maxLength={4000}
            value={form.note}
            onChange={(event) => change({ note: event.currentTarget.value })}
          />
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              {t("form.cancel")}
            </Button>
            <Button
              type="submit"
              data-testid="export-submit"
              loading={create.isPending}
              disabled={problem !== null || empty}
              leftSection={<IconFileExport size={16} />}
            >
              {t("form.submit")}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

interface ChoicesProps {
  form: ExportForm;
  change: (part: Partial<ExportForm>) => void;
}

function Choices({ form, change }: ChoicesProps) {
  const { t } = useTranslation("exports");
  const forced = needsArchive(form);
  return (
    <>
      <Checkbox
        label={t("form.exact")}
        description={t("form.exactHelp")}
        checked={form.exact}
        onChange={(event) => change({ exact: event.currentTarget.checked })}
      />
      <Checkbox
        label={t("form.archive")}
        description={t(forced ? "form.archiveForced" : "form.archiveHelp")}
        checked={form.archive || forced}
        disabled={forced}
        onChange={(event) => change({ archive: event.currentTarget.checked })}
      />
      <Checkbox
        label={t("form.burnIn")}
        description={t("form.burnInHelp")}
        checked={form.burnIn}
        onChange={(event) => change({ burnIn: event.currentTarget.checked })}
      />
      {form.burnIn && <ZoneSelect label={t("form.zone")} value={form.timeZone} onChange={(timeZone) => change({ timeZone })} />}
    </>
  );
}

/** What the range holds, of all cameras; null while it is not known. */
function useContent(form: ExportForm): Content | null {
  const [{ cameraIds, startMs, endMs }] = useDebouncedValue(form, SETTLED_MS);
  const valid = problemOf(form) === null && endMs > startMs;
  const answers = useQueries({
    queries: cameraIds.map((id) => ({
      queryKey: ["recordings", id, startMs, endMs],
      queryFn: ({ signal }: { signal: AbortSignal }) => fetchRecordings(id, startMs, endMs, signal),
      enabled: valid,
      staleTime: 30_000,
    })),
  });
  return valid ? together(answers.map(({ data }) => (data ? contentOf({ startMs, endMs }, data) : null))) : null;
}

function Estimate({ form, content }: { form: ExportForm; content: Content | null }) {
  const { t } = useTranslation("exports");
  const format = useFormat();
  const problem = problemOf(form);
  if (problem !== null) {
    return (
      <Alert color="red" p="xs">
        {t(`form.problem.${problem}`)}
      </Alert>
    );
  }
  if (content?.recordedMs === 0) {
    return (
      <Alert color="red" p="xs">
        {t("form.empty")}
      </Alert>
    );
  }
  return (
    <div role="status">
      <Text size="sm" data-testid="export-estimate">
        {t("form.length", { duration: format.duration(form.endMs - form.startMs) })}
        {content && ` · ${t(form.burnIn ? "form.sizeEncoded" : "form.size", { size: format.bytes(content.bytes) })}`}
      </Text>
      {content && content.missingMs >= WORTH_SAYING_MS && (
        <Text size="sm" c="yellow">
          {t("form.missing", { duration: format.duration(content.missingMs), count: form.cameraIds.length })}
        </Text>
      )}
    </div>
  );
}
