/** Choose a range exactly, see what it holds, download it. */
import { Alert, Button, Group, Paper, Stack, Text, Title } from "@mantine/core";
import { IconBookmark, IconDownload, IconLock, IconScissors } from "@tabler/icons-react";
import { useMemo, useState } from "react";
import { useTranslation } from "react-i18next";

import { url } from "../api/client";
import type { Recordings, Span } from "../api/recordings";
import type { Camera } from "../api/types";
import { LockDialog } from "../evidence/LockDialog";
import { SelectionVerdict } from "../evidence/SelectionVerdict";
import { ExportButton } from "../exports/ExportButton";
import { useFormat } from "../i18n/format";
import { InstantInput } from "./InstantInput";
import { contentOf, suggestion } from "./selection";

/** Shorter holes are the rounding of frame durations, not something missing. */
const WORTH_SAYING_MS = 1_000;

interface Props {
  camera: Camera;
  recordings: Recordings;
  selection: Span | null;
  onSelect: (span: Span | null) => void;
  playheadMs: number;
  nowMs: number;
  onBookmark: (span: Span) => void;
}

export function SelectionPanel({ camera, recordings, selection, onSelect, playheadMs, nowMs, onBookmark }: Props) {
  const { t } = useTranslation("playback");
  const cameraIds = useMemo(() => [camera.id], [camera.id]);
  const offered = suggestion(playheadMs, nowMs);
  return (
    <Paper withBorder p="sm" component="section" aria-label={t("selection.title")}>
      <Stack gap="xs">
        <Title order={2} size="h6">
          {t("selection.title")}
        </Title>
        {selection ? (
          <Chosen camera={camera} recordings={recordings} range={selection} onSelect={onSelect} nowMs={nowMs} />
        ) : (
          <Text size="sm" c="dimmed">
            {t("selection.help")}
          </Text>
        )}
        <Group gap="xs" grow preventGrowOverflow={false}>
          <Download camera={camera} recordings={recordings} range={selection ?? offered} chosen={selection !== null} />
          {selection ? (
            <Button variant="subtle" color="gray" onClick={() => onSelect(null)}>
              {t("selection.clear")}
            </Button>
          ) : (
            <Button
              variant="default"
              data-testid="export-select"
              leftSection={<IconScissors size={16} />}
              onClick={() => onSelect(offered)}
            >
              {t("selection.begin")}
            </Button>
          )}
        </Group>
        <Group gap="xs">
          <ExportButton cameraIds={cameraIds} range={selection ?? offered} nowMs={nowMs} size="compact-sm" />
          {selection && <RangeActions camera={camera} range={selection} onBookmark={onBookmark} />}
        </Group>
      </Stack>
    </Paper>
  );
}

/** What else is done with a range: kept, and found again. */
function RangeActions({ camera, range, onBookmark }: { camera: Camera; range: Span; onBookmark: (span: Span) => void }) {
  const { t } = useTranslation("evidence");
  const { t: bookmarkText } = useTranslation("bookmarks");
  const [locking, setLocking] = useState(false);
  const invalid = range.endMs <= range.startMs;
  return (
    <>
      <Button
        size="compact-sm"
        variant="default"
        disabled={invalid}
        data-testid="bookmark-range"
        leftSection={<IconBookmark size={15} aria-hidden />}
        onClick={() => onBookmark(range)}
      >
        {bookmarkText("button")}
      </Button>
      <Button
        size="compact-sm"
        variant="default"
        disabled={invalid}
        data-testid="lock-range"
        leftSection={<IconLock size={15} aria-hidden />}
        onClick={() => setLocking(true)}
      >
        {t("lock.button")}
      </Button>
      {locking && <LockDialog camera={camera} range={range} onClose={() => setLocking(false)} />}
    </>
  );
}

interface RangeProps {
  camera: Camera;
  recordings: Recordings;
  range: Span;
}

function Download({ camera, recordings, range, chosen }: RangeProps & { chosen: boolean }) {
  const { t } = useTranslation("playback");
  const format = useFormat();
  const { startMs, endMs } = range;
  const impossible = endMs <= startMs || contentOf(range, recordings).recordedMs === 0;
  return (
    <Button
      component="a"
      href={url.exportMp4(camera.id, startMs, Math.max(endMs, startMs + 1))}
      download={`${camera.id}-${new Date(startMs).toISOString().replaceAll(":", "-")}.mp4`}
      data-testid="export-download"
      mod={{ disabled: impossible }}
      aria-disabled={impossible}
      onClick={(event) => {
        if (impossible) event.preventDefault();
      }}
      leftSection={<IconDownload size={16} />}
    >
      {chosen ? t("selection.download") : t("selection.downloadShort", { duration: format.duration(endMs - startMs) })}
    </Button>
  );
}

type ChosenProps = RangeProps & { onSelect: (span: Span) => void; nowMs: number };

function Chosen({ camera, recordings, range, onSelect, nowMs }: ChosenProps) {
  const { t } = useTranslation("playback");
  const format = useFormat();
  const { startMs, endMs } = range;
  const content = contentOf(range, recordings);
  const invalid = endMs <= startMs;
  const empty = content.recordedMs === 0;
  return (
    <>
      <InstantInput label={t("selection.start")} value={startMs} maxMs={nowMs} onChange={(ms) => onSelect({ startMs: ms, endMs })} />
      <InstantInput label={t("selection.end")} value={endMs} maxMs={nowMs} onChange={(ms) => onSelect({ startMs, endMs: ms })} />
      {invalid ? (
        <Alert color="red" p="xs">
          {t("selection.reversed")}
        </Alert>
      ) : (
        <Text size="sm">
          {t("selection.length", { duration: format.duration(endMs - startMs) })}
          {content.bytes > 0 && ` · ${t("selection.size", { size: format.bytes(content.bytes) })}`}
        </Text>
      )}
      {!invalid && empty && (
        <Alert color="red" p="xs">
          {t("selection.empty")}
        </Alert>
      )}
      {!invalid && !empty && content.missingMs >= WORTH_SAYING_MS && (
        <Alert color="yellow" p="xs">
          {t("selection.missing", { duration: format.duration(content.missingMs) })}
        </Alert>
      )}
      {!invalid && !empty && <SelectionVerdict cameraId={camera.id} range={range} />}
    </>
  );
}
