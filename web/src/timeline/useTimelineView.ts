/** The timeline's view as state: moved by the user, or following what plays. */
import { useCallback, useState } from "react";

import { around, clampToNow, follow, type View } from "./view";

const FIRST_SPAN_MS = 30 * 60_000;

export type ChangeView = (change: (view: View) => View) => void;

/** `playheadMs` is what the view follows: the present in live view, else what is being played. */
export function useTimelineView(playheadMs: number): [View, ChangeView] {
  const [view, setView] = useState(() => around(playheadMs - FIRST_SPAN_MS * 0.35, FIRST_SPAN_MS));
  const [seenMs, setSeenMs] = useState(playheadMs);
  if (seenMs !== playheadMs) {
    setSeenMs(playheadMs);
    setView(follow(view, seenMs, playheadMs));
  }
  const changeView = useCallback<ChangeView>(
    (change) => setView((current) => clampToNow(change(current), Date.now())),
    [],
  );
  return [view, changeView];
}
