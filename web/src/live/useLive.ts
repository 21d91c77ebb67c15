/** Binds a LivePlayer to a component's life. */
import { useEffect, useState, useSyncExternalStore } from "react";

import type { Camera } from "../api/types";
import { usePageShown } from "../app/usePageShown";
import { LivePlayer, type LiveSnapshot } from "./player";

const HIDDEN_PATIENCE_MS = 60_000;

/** The live view of `camera` while `wanted` (it is on the screen). */
export function useLive(camera: Camera, wanted: boolean): LiveSnapshot {
  const [player, setPlayer] = useState(() => new LivePlayer(camera.id));
  const [cameraId, setCameraId] = useState(camera.id);
  if (cameraId !== camera.id) {
    setCameraId(camera.id);
    setPlayer(new LivePlayer(camera.id));
  }

  const watched = usePageShown(HIDDEN_PATIENCE_MS) && wanted;
  const watchable = camera.state === "live" && camera.webrtc.playable;
  const newestMs = camera.last_frame_at === null ? null : Date.parse(camera.last_frame_at);
  useEffect(() => player.setSource(watchable, newestMs), [player, watchable, newestMs]);
  useEffect(() => {
    player.want(watched);
    return () => player.want(false);
  }, [player, watched]);

  return useSyncExternalStore(player.subscribe, player.snapshot);
}
