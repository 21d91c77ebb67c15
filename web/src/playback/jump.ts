/** Where the keys for the next event lead. Pure but for asking the system. */
import { readCoverage } from "../api/coverage";
import { api } from "../api/client";
import type { Span } from "../api/recordings";

const DAY_MS = 86_400_000;
/** Events are looked for so far from what is shown, near ones first. */
const REACHES_MS = [DAY_MS / 24, DAY_MS, 31 * DAY_MS] as const;
const MOST = 500;
/** Of its resolution, in one range of coverage. */
const MOST_STEPS = 90_000;
/** An event is shown from a little before it. */
export const EVENT_LEAD_MS = 3_000;
/** A player is a little before or after where it was sent. */
const ROUNDING_MS = 500;
/** Going back from shortly after an event's start leads to the one before it, as with tracks of music. */
const JUST_STARTED_MS = 1_000;
/** What the system tells of itself is no event of the scene. */
const SYSTEM_KINDS = /^(camera_live|camera_failed|(worker|volume|recording|alarm|system)_.*)$/;

/** The moment to look at next (direction 1) or before (-1), seen from `ms`; null: none. */
export function adjacentMoment(moments: readonly number[], ms: number, direction: 1 | -1, leadMs: number): number | null {
  // While the lead of a moment plays, that moment is the one being looked at.
  const fits =
    direction > 0
      ? moments.filter((moment) => moment > ms + leadMs + ROUNDING_MS)
      : moments.filter((moment) => moment < ms - JUST_STARTED_MS);
  if (fits.length === 0) return null;
  return direction > 0 ? Math.min(...fits) : Math.max(...fits);
}

/** When something began: events and the beginnings of recorded event stretches. */
export function eventMoments(events: readonly { at: string; kind: string }[], spans: readonly Span[]): number[] {
  const told = events.filter(({ kind }) => !SYSTEM_KINDS.test(kind)).map(({ at }) => Date.parse(at));
  return [...told, ...spans.map(({ startMs }) => startMs)];
}

async function momentsBetween(cameraId: string, startMs: number, endMs: number): Promise<number[]> {
  const [events, coverage] = await Promise.allSettled([
    api.events(cameraId, startMs, endMs, MOST),
    api.coverage([cameraId], startMs, endMs, Math.max(1, Math.ceil((endMs - startMs) / 1000 / MOST_STEPS))),
  ]);
  if (events.status === "rejected" && coverage.status === "rejected") throw events.reason;
  const told = events.status === "fulfilled" ? events.value.events.filter(({ camera }) => camera === null || camera === cameraId) : [];
  const spans = coverage.status === "fulfilled" ? (readCoverage(coverage.value).get(cameraId)?.events ?? []) : [];
  const moments = eventMoments(told, spans);
  // An older server tells all events, whatever range is asked for.
  return moments.filter((ms) => ms >= startMs && ms < endMs);
}

/** The nearest event in that direction; null: none within a month. Raises ApiError, Unreachable. */
export async function findEvent(cameraId: string, ms: number, direction: 1 | -1): Promise<number | null> {
  for (const reachMs of REACHES_MS) {
    const [startMs, endMs] = direction > 0 ? [ms, Math.min(Date.now(), ms + reachMs)] : [ms - reachMs, ms];
    if (endMs <= startMs) return null;
    const found = adjacentMoment(await momentsBetween(cameraId, startMs, endMs), ms, direction, EVENT_LEAD_MS);
    if (found !== null) return found;
  }
  return null;
}
