/** Why a live view ended, and how long to wait before the next attempt. Pure. */

export type ProblemCode =
  | "network" // the API did not answer
  | "unavailable" // it did: what serves live views does not, just now
  | "media" // the offer was answered, but no media path was found or it broke
  | "no_picture" // connected, yet no picture came
  | "frozen" // pictures stopped coming, and not for the camera's sake
  | "not_live" // the server has nothing to send yet
  | "not_offered" // the way that the user chose is not there …
  | "no_webtransport" // … or this browser cannot go it
  | "refused" // the server said no; `detail` is its text
  | "b_frames" // the stream cannot be played here …
  | "codec"; // … for this reason

export interface LiveProblem {
  code: ProblemCode;
  detail?: string;
  /** The server asks not to be tried again before (Retry-After, RFC 9110 §10.2.3). */
  retryAfterMs?: number;
}

const FIRST_MS = 1_000;
/** What passes by itself, such as a restarted process, is tried often … */
const LAST_MS = 5_000;
/** … what was refused seldom: someone must change something first. */
const LAST_REFUSED_MS = 30_000;
const UNSUPPORTED_MS = 30_000;
const LONGEST_WISH_MS = 60_000;

/** Trying again soon would not help: the stream itself cannot be played. */
export function isUnsupported(problem: LiveProblem): problem is LiveProblem & { code: "b_frames" | "codec" } {
  return problem.code === "b_frames" || problem.code === "codec";
}

/** Doubling from 1 s to `lastMs`, half of it random: a thousand viewers must not return at once. */
export function backOffMs(attempt: number, lastMs: number, random: () => number): number {
  const whole = Math.min(lastMs, FIRST_MS * 2 ** Math.max(0, attempt - 1));
  return whole / 2 + (whole / 2) * random();
}

/** `attempt`: attempts that failed since it played well; 0, when it has played until now, is tried again at once. */
export function retryDelayMs(problem: LiveProblem, attempt: number, random: () => number): number {
  if (isUnsupported(problem)) return UNSUPPORTED_MS;
  const wishMs = Math.min(LONGEST_WISH_MS, problem.retryAfterMs ?? 0);
  if (attempt === 0 && wishMs === 0) return 0;
  const refused = ["refused", "not_live", "not_offered", "no_webtransport"].includes(problem.code);
  const delayMs = backOffMs(attempt, refused ? LAST_REFUSED_MS : LAST_MS, random);
  // Later than asked by some chance, too.
  return delayMs >= wishMs ? delayMs : wishMs + (FIRST_MS / 2) * random();
}
