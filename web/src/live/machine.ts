/**
 * How one live view connects, plays, freezes and comes back: a pure state machine.
 *
 * It is driven by events with their time; what it wants done is its `effect`. The player
 * (player.ts) owns the clock, the peer connection and the network.
 */

export type Phase = "idle" | "connecting" | "live" | "stalled" | "waiting";

export type ProblemCode =
  | "network" // the API did not answer
  | "media" // the offer was answered, but no media path was found or it broke
  | "no_picture" // connected, yet no picture came
  | "frozen" // pictures stopped coming
  | "not_live" // the server has nothing to send yet
  | "refused" // the server said no; `detail` is its text
  | "b_frames" // the stream cannot be played here …
  | "codec"; // … for this reason

export interface LiveProblem {
  code: ProblemCode;
  detail?: string;
}

export interface LiveState {
  phase: Phase;
  /** Someone looks at it. */
  wanted: boolean;
  /** The camera delivers, as the API says. */
  sourceUp: boolean;
  /** Attempts since it last played well. */
  attempt: number;
  phaseSinceMs: number;
  frames: number;
  lastFrameMs: number;
  retryAtMs: number;
  /** Why the last attempt ended; kept until pictures come. */
  problem: LiveProblem | null;
}

export type LiveEvent =
  | { type: "want"; wanted: boolean }
  | { type: "source"; up: boolean }
  /** Regular; `frames`: pictures decoded so far in this session; `connected`: media can come. */
  | { type: "tick"; frames: number; connected: boolean }
  | { type: "failed"; problem: LiveProblem };

export type Effect = "open" | "close" | null;

export interface Step {
  state: LiveState;
  effect: Effect;
}

export const STALLED_AFTER_MS = 5_000;
export const RECONNECT_AFTER_STALL_MS = 4_000;
export const FIRST_PICTURE_WITHIN_MS = 12_000;
/** Having played this long makes the next failure a first failure. */
const PLAYED_WELL_MS = 10_000;
const RETRY_UNSUPPORTED_MS = 30_000;
const BACK_OFF_FIRST_MS = 1_000;
const BACK_OFF_LAST_MS = 30_000;

export const INITIAL: LiveState = {
  phase: "idle",
  wanted: false,
  sourceUp: false,
  attempt: 0,
  phaseSinceMs: 0,
  frames: 0,
  lastFrameMs: 0,
  retryAtMs: 0,
  problem: null,
};

/** Exponential from 1 s to 30 s, half of it random: a thousand viewers must not return at once. */
export function backOffMs(attempt: number, random: () => number): number {
  const whole = Math.min(BACK_OFF_LAST_MS, BACK_OFF_FIRST_MS * 2 ** Math.max(0, attempt - 1));
  return whole / 2 + (whole / 2) * random();
}

/** Trying again soon would not help: the stream itself cannot be played. */
export function isUnsupported(problem: LiveProblem): problem is LiveProblem & { code: "b_frames" | "codec" } {
  return problem.code === "b_frames" || problem.code === "codec";
}

function enter(state: LiveState, phase: Phase, nowMs: number, effect: Effect = null): Step {
  return { state: { ...state, phase, phaseSinceMs: nowMs }, effect };
}

function connect(state: LiveState, nowMs: number): Step {
  const fresh = { ...state, attempt: state.attempt + 1, frames: 0, lastFrameMs: nowMs };
  return enter(fresh, "connecting", nowMs, "open");
}

function fail(state: LiveState, problem: LiveProblem, nowMs: number, random: () => number): Step {
  if (!state.sourceUp) {
    // The camera itself is away; its return, not a timer, starts the next attempt.
    return enter({ ...state, attempt: 0, problem: null }, "idle", nowMs, "close");
  }
  const playedWell = state.phase === "live" && nowMs - state.phaseSinceMs >= PLAYED_WELL_MS;
  const attempt = playedWell ? 0 : state.attempt;
  const delayMs = isUnsupported(problem) ? RETRY_UNSUPPORTED_MS : backOffMs(attempt, random);
  return enter({ ...state, attempt, problem, retryAtMs: nowMs + delayMs }, "waiting", nowMs, "close");
}

type Tick = Extract<LiveEvent, { type: "tick" }>;

function tick(state: LiveState, { frames, connected }: Tick, nowMs: number, random: () => number): Step {
  if (state.phase === "waiting") {
    return nowMs >= state.retryAtMs ? connect(state, nowMs) : { state, effect: null };
  }
  if (state.phase === "idle") return { state, effect: null };
  if (frames > state.frames) {
    const moving = { ...state, frames, lastFrameMs: nowMs, problem: null };
    return state.phase === "live" ? { state: moving, effect: null } : enter(moving, "live", nowMs);
  }
  const silentMs = nowMs - state.lastFrameMs;
  if (state.phase === "connecting" && silentMs >= FIRST_PICTURE_WITHIN_MS) {
    return fail(state, { code: connected ? "no_picture" : "media" }, nowMs, random);
  }
  if (state.phase === "live" && silentMs >= STALLED_AFTER_MS) {
    return enter({ ...state, attempt: 0 }, "stalled", nowMs);
  }
  if (state.phase === "stalled" && state.sourceUp && nowMs - state.phaseSinceMs >= RECONNECT_AFTER_STALL_MS) {
    return fail(state, { code: "frozen" }, nowMs, random);
  }
  return { state, effect: null };
}

function source(state: LiveState, up: boolean, nowMs: number): Step {
  const next = { ...state, sourceUp: up };
  if (up && next.wanted && (next.phase === "idle" || next.phase === "waiting")) {
    return connect({ ...next, attempt: 0 }, nowMs);
  }
  // A session that was playing is kept: the server swaps the source under it when the camera returns.
  if (up && next.phase === "stalled") return { state: { ...next, phaseSinceMs: nowMs }, effect: null };
  if (!up && next.phase === "waiting") return enter({ ...next, problem: null }, "idle", nowMs);
  return { state: next, effect: null };
}

/** The state after `event`, and what must be done about it. */
export function step(state: LiveState, event: LiveEvent, nowMs: number, random: () => number): Step {
  switch (event.type) {
    case "want": {
      if (event.wanted === state.wanted) return { state, effect: null };
      if (!event.wanted) return { state: { ...INITIAL, sourceUp: state.sourceUp }, effect: "close" };
      const next = { ...state, wanted: true };
      return next.sourceUp ? connect(next, nowMs) : { state: next, effect: null };
    }
    case "source":
      return event.up === state.sourceUp ? { state, effect: null } : source(state, event.up, nowMs);
    case "failed":
      if (state.phase === "idle" || state.phase === "waiting") return { state, effect: null };
      return fail(state, event.problem, nowMs, random);
    case "tick":
      return tick(state, event, nowMs, random);
  }
}
