/** What the page of the system decides about processes. Pure. */
import { ApiError } from "../api/client";
import type { Process, ProcessRole } from "../api/types";

/** As the system is built: what starts the others first, what serves them last. */
const ROLES: readonly ProcessRole[] = [
  "supervisor",
  "media",
  "stream",
  "quic",
  "srt",
  "api",
  "keeper",
  "render",
  "transcode",
  "nats",
];

/** Roles together, `media-10` after `media-9`. */
export function inOrder(processes: readonly Process[]): Process[] {
  const { compare } = new Intl.Collator("en", { numeric: true });
  const place = ({ role }: Process) => (ROLES.indexOf(role) + ROLES.length + 1) % (ROLES.length + 1);
  return processes.toSorted((a, b) => place(a) - place(b) || compare(a.worker, b.worker));
}

/** Who could restart the supervisor answers to nobody. */
export function canRestart({ role, state }: Process): boolean {
  return role !== "supervisor" && state !== "stopping";
}

export type Trouble =
  | "supervisor_away" // its processes go on without it; it is started again by itself
  | "no_answer" // nor does anyone else
  | "other";

/** Why the processes are not told. */
export function troubleOf(error: Error | null): Trouble | null {
  if (error === null) return null;
  if (!(error instanceof ApiError)) return "no_answer";
  return error.status === 503 ? "supervisor_away" : "other";
}
