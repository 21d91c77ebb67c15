/** Binds a PlaybackEngine to the camera page. */
import { type RefObject, useEffect, useRef, useState, useSyncExternalStore } from "react";

import { PlaybackEngine } from "./engine";
import { IDLE, type PlaybackSnapshot } from "./playbackState";
import classes from "./playback.module.css";

const neverChanges = () => () => undefined;
const idle = () => IDLE;

export interface Playback extends PlaybackSnapshot {
  /** null until it is there, which is before anyone can press anything. */
  engine: PlaybackEngine | null;
}

/** `host` is where the engine puts its video elements. */
export function usePlayback(
  cameraId: string,
  host: RefObject<HTMLElement | null>,
  label: string,
  muted: boolean,
): Playback {
  const [engine, setEngine] = useState<PlaybackEngine | null>(null);
  const latestLabel = useRef(label);
  useEffect(() => {
    latestLabel.current = label;
  });

  useEffect(() => {
    if (!host.current) return undefined;
    const created = new PlaybackEngine(cameraId, host.current, {
      className: classes["video"] ?? "",
      label: () => latestLabel.current,
    });
    setEngine(created);
    return () => {
      setEngine(null);
      created.destroy();
    };
  }, [cameraId, host]);
  useEffect(() => engine?.setMuted(muted), [engine, muted]);

  const snapshot = useSyncExternalStore(engine?.subscribe ?? neverChanges, engine?.snapshot ?? idle);
  return { ...snapshot, engine };
}
