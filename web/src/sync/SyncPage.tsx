/** Recordings of up to 16 cameras, played together. */
import { Button, Center, Loader, Text } from "@mantine/core";
import { useElementSize } from "@mantine/hooks";
import { IconLayoutGrid } from "@tabler/icons-react";
import { type KeyboardEvent, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { useSearchParams } from "react-router";

import { useCameras } from "../api/queries";
import type { Camera } from "../api/types";
import { EmptyState } from "../app/EmptyState";
import { useNow } from "../app/useNow";
import { useShortcuts } from "../app/shortcuts";
import { useTitle } from "../app/useTitle";
import { arrange, neighbour } from "../live/gridLayout";
import { BookmarkDialog, type BookmarkSubject } from "../bookmarks/BookmarkDialog";
import { ExportButton } from "../exports/ExportButton";
import { suggestion } from "../playback/selection";
import { TransportButtons } from "../playback/TransportButtons";
import { transportKeys } from "../playback/transport";
import { RowsTimeline } from "../timeline/RowsTimeline";
import { TimelineToolbar } from "../timeline/TimelineToolbar";
import { useTimelineView } from "../timeline/useTimelineView";
import { reveal, zoom } from "../timeline/view";
import { CameraPicker } from "./CameraPicker";
import { chosenIn, MOST_CAMERAS } from "./chosen";
import { SyncTile } from "./SyncTile";
import classes from "./sync.module.css";
import { useGroup } from "./useGroup";
import { useRows } from "./useRows";

const GAP_PX = 6;
const FIRST_BACK_MS = 60_000;

export function SyncPage() {
  const { t } = useTranslation("playback");
  useTitle(t("sync.title"));
  const { cameras, loading } = useCameras();
  const [params, setParams] = useSearchParams();
  const param = params.get("cameras");
  const known = cameras.map(({ id }) => id).join();
  const chosen = useMemo(() => chosenIn(param, known.split(",")), [param, known]);
  const choose = (ids: string[]) => {
    setParams((old) => new URLSearchParams([["cameras", ids.join(",")], ...[...old].filter(([key]) => key === "at")]), { replace: true });
  };
  const [choosing, setChoosing] = useState(param === null);
  const picker = <CameraPicker cameras={cameras} chosen={chosen} onChoose={choose} opened={choosing} onOpen={setChoosing} />;
  if (loading) {
    return (
      <Center h="100%">
        <Loader aria-label={t("loading")} />
      </Center>
    );
  }
  if (chosen.length === 0) {
    return (
      <EmptyState icon={IconLayoutGrid} title={t("sync.emptyTitle")} text={t("sync.empty", { most: MOST_CAMERAS })}>
        {picker}
      </EmptyState>
    );
  }
  const shown = chosen.map((id) => cameras.find((camera) => camera.id === id)).filter((camera) => camera !== undefined);
  return <Together cameras={shown} picker={picker} onChoose={choose} />;
}

interface TogetherProps {
  cameras: Camera[];
  picker: React.ReactNode;
  onChoose: (ids: string[]) => void;
}

function Together({ cameras, picker, onChoose }: TogetherProps) {
  const { t } = useTranslation("playback");
  const nowMs = useNow(1_000);
  const [params, setParams] = useSearchParams();
  const [startMs] = useState(() => {
    const at = Date.parse(params.get("at") ?? "");
    return Number.isNaN(at) ? Date.now() - FIRST_BACK_MS : at;
  });
  const idsText = cameras.map(({ id }) => id).join();
  const cameraIds = useMemo(() => idsText.split(","), [idsText]);
  const names = useMemo(() => cameras.map(({ id, name }) => ({ id, name })), [idsText]); // oxlint-disable-line react-hooks/exhaustive-deps
  const [focused, setFocused] = useState(0);
  const [marking, setMarking] = useState<BookmarkSubject | null>(null);
  const [heard, setHeard] = useState<string | null>(null);
  const { ref: wall, width, height } = useElementSize<HTMLDivElement>();
  const grid = arrange("auto", cameras.length, width - 2 * GAP_PX, height - 2 * GAP_PX, GAP_PX);
  const current = Math.min(focused, cameras.length - 1);
  const leader = cameraIds[current] ?? "";
  const toAddress = (ms: number) =>
    setParams([["cameras", idsText], ["at", new Date(ms).toISOString()]], { replace: true });
  const { group, state, transport } = useGroup(startMs, leader, toAddress);
  const { masterMs } = state;
  const [view, changeView] = useTimelineView(masterMs);
  const coverage = useRows(cameraIds, view);
  const seek = (ms: number) => {
    transport.goTo(ms);
    changeView((old) => reveal(old, ms));
  };
  const toggleSound = (id: string) => setHeard(heard === id ? null : id);
  useShortcuts({
    ...transportKeys(transport),
    m: () => toggleSound(leader),
    b: () => setMarking({ cameraId: leader, span: { startMs: masterMs, endMs: masterMs } }),
    "+": () => changeView((old) => zoom(old, 0.5, masterMs)),
    "-": () => changeView((old) => zoom(old, 2, masterMs)),
  });
  const onKeyDown = (event: KeyboardEvent<HTMLDivElement>) => {
    if (!(event.target instanceof HTMLElement) || event.target.tagName !== "ARTICLE" || event.shiftKey) return;
    const next = neighbour(event.key, current, cameras.length, grid.columns);
    if (next === current) return;
    event.preventDefault();
    setFocused(next);
    event.currentTarget.querySelectorAll<HTMLElement>("article")[next]?.focus();
  };
  return (
    <div className={classes.page} data-testid="sync" data-holding={state.holding} data-running={state.running}>
      <div ref={wall} className={classes.wall}>
        {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions -- arrow keys move between tiles */}
        <section
          className={classes.grid}
          aria-label={t("sync.title")}
          onKeyDown={onKeyDown}
          style={{
            gridTemplateColumns: `repeat(${grid.columns}, ${grid.tileWidthPx}px)`,
            gridAutoRows: `${grid.tileHeightPx}px`,
          }}
        >
          {cameras.map((camera, index) => (
            <SyncTile
              key={camera.id}
              camera={camera}
              group={group}
              state={state.cameras.get(camera.id)}
              masterMs={masterMs}
              heard={heard === camera.id}
              focused={index === current}
              onFocus={() => setFocused(index)}
              onSound={() => toggleSound(camera.id)}
              onRemove={() => onChoose(cameraIds.filter((id) => id !== camera.id))}
            />
          ))}
        </section>
      </div>
      <div className={classes.transport} role="toolbar" aria-label={t("controls")}>
        <TransportButtons transport={transport} nowMs={nowMs} />
        <Text size="xs" c="dimmed" miw={170} role="status">
          {state.holding ? t("sync.holding") : state.atLive ? t("sync.atLive") : ""}
        </Text>
        {picker}
        <ExportButton cameraIds={cameraIds} range={suggestion(masterMs, nowMs)} nowMs={nowMs} size="compact-sm" />
        {cameras.length > 1 && heard !== null && (
          <Button size="compact-sm" variant="subtle" color="gray" onClick={() => setHeard(null)}>
            {t("sync.soundOff")}
          </Button>
        )}
      </div>
      <section className={classes.timeline} aria-label={t("timeline.label")}>
        <TimelineToolbar cameraIds={cameraIds} model={{ view, changeView, playheadMs: masterMs, nowMs }} />
        <RowsTimeline
          cameras={names}
          coverage={coverage}
          view={view}
          changeView={changeView}
          nowMs={nowMs}
          playheadMs={masterMs}
          onSeek={seek}
        />
      </section>
      {marking && <BookmarkDialog subject={marking} onClose={() => setMarking(null)} />}
    </div>
  );
}
