/** Binds a LivePlayer to a component's life. */
import { type RefObject, useEffect, useState, useSyncExternalStore } from "react";

import type { Camera } from "../api/types";
import { usePageShown } from "../app/usePageShown";
import { LivePlayer, type LiveSnapshot } from "./player";
import { watchSize } from "./tileSize";

const HIDDEN_PATIENCE_MS = 60_000;

/**
 * The live view of `camera` while `wanted` (it is on the screen). tile: what it is shown in, where a smaller stream of
 * the camera will do while that is small.
 */
export function useLive(camera: Camera, wanted: boolean, tile: RefObject<Element | null> | null = null): LiveSnapshot {
  const [player, setPlayer] = useState(() => new LivePlayer(camera.id));
  const [cameraId, setCameraId] = useState(camera.id);
  if (cameraId !== camera.id) {
    setCameraId(camera.id);
    setPlayer(new LivePlayer(camera.id));
  }

  const watched = usePageShown(HIDDEN_PATIENCE_MS) && wanted;
  const { playable, reason } = camera.webrtc;
  // What WebRTC cannot carry there may be another way for (ladder.ts); what is not known yet is waited for.
  const watchable = camera.state === "live" && (playable || reason === "b_frames" || reason === "codec");
  const newestMs = camera.last_frame_at === null ? null : Date.parse(camera.last_frame_at);
  useEffect(() => player.setSource(watchable, newestMs, playable), [player, watchable, newestMs, playable]);
  const hasSub = camera.sub_source !== null;
  useEffect(() => {
    if (!hasSub || !tile?.current) return player.resize(null);
    return watchSize(tile.current, (size) => player.resize(size));
  }, [player, tile, hasSub]);
  useEffect(() => {
    player.want(watched);
    return () => player.want(false);
  }, [player, watched]);

  return useSyncExternalStore(player.subscribe, player.snapshot);
}
