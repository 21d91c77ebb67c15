/** The group of cameras as React sees it, and the controls that act on all of it. */
import { notifications } from "@mantine/notifications";
import { useEffect, useRef, useState, useSyncExternalStore } from "react";
import { useTranslation } from "react-i18next";

import { fetchRecordings } from "../api/recordings";
import { EVENT_LEAD_MS, findEvent } from "../playback/jump";
import type { Transport } from "../playback/transport";
import { adjacentGap } from "../timeline/bars";
import { type GroupSnapshot, SyncGroup } from "./group";

const GAP_LEAD_MS = 5_000;
const SEARCH_GAPS_MS = 7 * 86_400_000;
const neverChanges = () => () => undefined;

interface Answer {
  group: SyncGroup | null;
  state: GroupSnapshot;
  transport: Transport;
}

/** leader: the camera whose pictures, gaps and events the keys step through. onPlace: the clock was set to there. */
export function useGroup(startMs: number, leader: string, onPlace: (ms: number) => void): Answer {
  const { t } = useTranslation("playback");
  const [group, setGroup] = useState<SyncGroup | null>(null);
  useEffect(() => {
    const created = new SyncGroup(startMs);
    setGroup(created);
    return () => created.destroy();
  }, [startMs]);
  const initial = useRef<GroupSnapshot>({
    masterMs: startMs,
    running: true,
    rate: 1,
    holding: true,
    atLive: false,
    cameras: new Map(),
  });
  const state = useSyncExternalStore(group?.subscribe ?? neverChanges, group?.snapshot ?? (() => initial.current));
  const { masterMs, running, rate } = state;

  const goTo = (ms: number) => {
    group?.seek(ms);
    onPlace(ms);
  };
  const gap = async (direction: 1 | -1) => {
    const from = direction > 0 ? masterMs : masterMs - SEARCH_GAPS_MS;
    const { gaps } = await fetchRecordings(leader, from, Math.min(Date.now(), from + SEARCH_GAPS_MS));
    const found = adjacentGap(gaps, masterMs, direction, GAP_LEAD_MS);
    if (found) goTo(found.startMs - GAP_LEAD_MS);
    else notifications.show({ message: t(direction > 0 ? "gaps.noneAfter" : "gaps.noneBefore") });
  };
  const event = async (direction: 1 | -1) => {
    const found = await findEvent(leader, masterMs, direction);
    if (found !== null) goTo(found - EVENT_LEAD_MS);
    else notifications.show({ message: t(direction > 0 ? "events.noneAfter" : "events.noneBefore") });
  };
  const offline = () => notifications.show({ message: t("problem.offline") });
  const transport: Transport = {
    running,
    active: true,
    rate,
    actual: null,
    keyPictures: false,
    playheadMs: masterMs,
    togglePlay: () => group?.setRunning(!running),
    seekBy: (ms) => goTo(masterMs + ms),
    goTo,
    step: (direction) => group?.step(leader, direction),
    setRate: (next) => group?.setRate(next),
    gap: (direction) => void gap(direction).catch(offline),
    event: (direction) => void event(direction).catch(offline),
  };
  return { group, state, transport };
}
