/** Binds a PlaybackEngine to the camera page. */
import { type RefObject, useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";

import { IDLE, PlaybackEngine, type PlaybackSnapshot } from "./engine";
import classes from "./playback.module.css";

const neverChanges = () => () => undefined;
const idle = () => IDLE;

export interface PlaybackControls {
  goTo: (ms: number, paused: boolean) => void;
  setPaused: (paused: boolean) => void;
  setRate: (rate: number) => void;
  /** Pause, and move by about a frame. */
  nudge: (seconds: number) => void;
  stop: () => void;
}

export interface Playback extends PlaybackSnapshot {
  /** null until the engine is there, which is before anyone can press anything. */
  controls: PlaybackControls | null;
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
  const controls = useMemo<PlaybackControls | null>(
    () =>
      engine && {
        goTo: (ms, paused) => engine.goTo(ms, paused),
        setPaused: (paused) => engine.setPaused(paused),
        setRate: (rate) => engine.setRate(rate),
        nudge: (seconds) => engine.nudge(seconds),
        stop: () => engine.stop(),
      },
    [engine],
  );
  return { ...snapshot, controls };
}
