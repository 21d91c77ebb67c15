/**
 * How one live view connects, plays, freezes and comes back: a pure state machine.
 *
 * It is driven by events with their time; what it wants done is its `effect`. The player
 * (player.ts) owns the clock, the peer connection and the network. When a view is broken is
 * decided in watchdog.ts, when to try again in backOff.ts.
 */
import { type LiveProblem, retryDelayMs } from "./backOff";
import { isBroken } from "./watchdog";

export type Phase = "idle" | "connecting" | "live" | "stalled" | "waiting";

export interface LiveState {
  phase: Phase;
  /** Someone looks at it. */
  wanted: boolean;
  /** The camera delivers, as the API says. */
  sourceUp: boolean;
  /** Since when it does. */
  sourceUpSinceMs: number;
  /** Its newest picture's time as the API gave it last, on the server's clock. */
  newestMs: number | null;
  /** When that was last seen to have advanced, on this clock. */
  deliversAtMs: number;
  /** Attempts since it last played well. */
  attempt: number;
  phaseSinceMs: number;
  /** Of this session: pictures decoded, and whatever counts what came from the server. */
  frames: number;
  heard: number;
  lastFrameMs: number;
  lastHeardMs: number;
  /** When the last picture came, in this session or one before; null: none since someone looks. */
  lastPictureMs: number | null;
  /** How old that picture is. */
  silentMs: number;
  retryAtMs: number;
  /** Why the last attempt ended; kept until pictures come. */
  problem: LiveProblem | null;
}

export type LiveEvent =
  | { type: "want"; wanted: boolean }
  | { type: "source"; up: boolean; newestMs: number | null }
  /**
   * Regular. `frames`: pictures decoded so far in this session; `heard`: grows with whatever comes
   * from the server; `connected`: media can come; `shown`: the page is, so that pictures are decoded.
   */
  | { type: "tick"; frames: number; heard: number; connected: boolean; shown: boolean }
  | { type: "failed"; problem: LiveProblem };

export type Effect = "open" | "close" | null;

export interface Step {
  state: LiveState;
  effect: Effect;
}

/** Without a new picture for this long, what is shown is not the present. */
export const STALLED_AFTER_MS = 5_000;
export const FIRST_PICTURE_WITHIN_MS = 12_000;
/** A view that played before is known to work: its first attempts are given up sooner. */
export const RESUMED_WITHIN_MS = 4_000;
/** Having played this long makes the next failure a first failure. */
export const PLAYED_WELL_MS = 5_000;

export const INITIAL: LiveState = {
  phase: "idle",
  wanted: false,
  sourceUp: false,
  sourceUpSinceMs: 0,
  newestMs: null,
  deliversAtMs: 0,
  attempt: 0,
  phaseSinceMs: 0,
  frames: 0,
  heard: 0,
  lastFrameMs: 0,
  lastHeardMs: 0,
  lastPictureMs: null,
  silentMs: 0,
  retryAtMs: 0,
  problem: null,
};

/** It played, and is being connected anew; the last picture is on the screen. */
export function isResuming({ phase, lastPictureMs }: LiveState): boolean {
  return lastPictureMs !== null && (phase === "connecting" || phase === "waiting");
}

function enter(state: LiveState, phase: Phase, nowMs: number, effect: Effect = null): Step {
  return { state: { ...state, phase, phaseSinceMs: nowMs }, effect };
}

function connect(state: LiveState, nowMs: number): Step {
  const fresh = { frames: 0, heard: 0, lastFrameMs: nowMs, lastHeardMs: nowMs };
  return enter({ ...state, ...fresh, attempt: state.attempt + 1 }, "connecting", nowMs, "open");
}

function fail(state: LiveState, problem: LiveProblem, nowMs: number, random: () => number): Step {
  if (!state.sourceUp) {
    // The camera itself is away; its return, not a timer, starts the next attempt.
    return enter({ ...state, attempt: 0, problem: null }, "idle", nowMs, "close");
  }
  const failed = { ...state, problem };
  const delayMs = retryDelayMs(problem, state.attempt, random);
  if (delayMs === 0) return connect(failed, nowMs);
  return enter({ ...failed, retryAtMs: nowMs + delayMs }, "waiting", nowMs, "close");
}

type Tick = Extract<LiveEvent, { type: "tick" }>;

function moved(state: LiveState, nowMs: number): Step {
  const moving = { ...state, lastPictureMs: nowMs, problem: null };
  if (state.phase !== "live") return enter(moving, "live", nowMs);
  const playedWell = nowMs - state.phaseSinceMs >= PLAYED_WELL_MS;
  return { state: playedWell ? { ...moving, attempt: 0 } : moving, effect: null };
}

function firstPictureWithinMs(state: LiveState): number {
  const resumes = state.lastPictureMs !== null;
  return resumes ? Math.min(FIRST_PICTURE_WITHIN_MS, RESUMED_WITHIN_MS * state.attempt) : FIRST_PICTURE_WITHIN_MS;
}

function tick(before: LiveState, event: Tick, nowMs: number, random: () => number): Step {
  if (before.phase === "waiting" && nowMs >= before.retryAtMs) return connect(before, nowMs);
  if (before.phase === "waiting" || before.phase === "idle") return { state: before, effect: null };
  const { frames, heard, shown } = event;
  const hasMoved = frames > before.frames;
  const state: LiveState = {
    ...before,
    frames,
    heard,
    // Browsers decode nothing on a hidden page: that time does not count.
    lastFrameMs: hasMoved || !shown ? nowMs : before.lastFrameMs,
    lastHeardMs: heard > before.heard || !shown ? nowMs : before.lastHeardMs,
  };
  if (hasMoved) return moved(state, nowMs);
  if (state.phase === "connecting") {
    if (nowMs - state.lastFrameMs < firstPictureWithinMs(state)) return { state, effect: null };
    return fail(state, { code: event.connected ? "no_picture" : "media" }, nowMs, random);
  }
  if (isBroken(state, nowMs)) return fail(state, { code: "frozen" }, nowMs, random);
  if (state.phase === "live" && nowMs - state.lastFrameMs >= STALLED_AFTER_MS) return enter(state, "stalled", nowMs);
  return { state, effect: null };
}

type Source = Extract<LiveEvent, { type: "source" }>;

function source(state: LiveState, { up, newestMs }: Source, nowMs: number): Step {
  const advanced = newestMs !== null && state.newestMs !== null && newestMs > state.newestMs;
  const next = { ...state, sourceUp: up, newestMs, deliversAtMs: advanced ? nowMs : state.deliversAtMs };
  if (up === state.sourceUp) return { state: next, effect: null };
  // A session that was playing is kept: the server swaps the source under it when the camera returns.
  if (up) next.sourceUpSinceMs = nowMs;
  if (up && next.wanted && (next.phase === "idle" || next.phase === "waiting")) {
    return connect({ ...next, attempt: 0 }, nowMs);
  }
  if (!up && next.phase === "waiting") return enter({ ...next, problem: null }, "idle", nowMs);
  return { state: next, effect: null };
}

function want(state: LiveState, wanted: boolean, nowMs: number): Step {
  const { sourceUp, sourceUpSinceMs, newestMs, deliversAtMs } = state;
  if (!wanted) return { state: { ...INITIAL, sourceUp, sourceUpSinceMs, newestMs, deliversAtMs }, effect: "close" };
  const next = { ...state, wanted: true };
  return sourceUp ? connect(next, nowMs) : { state: next, effect: null };
}

function advance(state: LiveState, event: LiveEvent, nowMs: number, random: () => number): Step {
  switch (event.type) {
    case "want":
      return event.wanted === state.wanted ? { state, effect: null } : want(state, event.wanted, nowMs);
    case "source": {
      const same = event.up === state.sourceUp && event.newestMs === state.newestMs;
      return same ? { state, effect: null } : source(state, event, nowMs);
    }
    case "failed":
      if (state.phase === "idle" || state.phase === "waiting") return { state, effect: null };
      return fail(state, event.problem, nowMs, random);
    case "tick":
      return tick(state, event, nowMs, random);
  }
}

/** The state after `event`, and what must be done about it. */
export function step(state: LiveState, event: LiveEvent, nowMs: number, random: () => number): Step {
  const after = advance(state, event, nowMs, random);
  const silentMs = nowMs - (after.state.lastPictureMs ?? nowMs);
  if (silentMs === after.state.silentMs || (after.state === state && event.type !== "tick")) return after;
  return { ...after, state: { ...after.state, silentMs } };
}

