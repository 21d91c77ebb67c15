/**
 * What signatures say of recordings, in one word for an operator. Pure.
 *
 * Belongs here: from the API's answer to a verdict, and keeping answers. Does not: asking, words, colours.
 */
import type { SegmentVerdict, Verification, VerifiedSegment } from "../api/evidenceTypes";

/** `recovered`: verified, but signed by repair after a crash. */
export type Verdict = SegmentVerdict | "recovered";
/** Of a range. `partly`: some of it is verified; `nothing`: nothing is recorded then. */
export type RangeVerdict = Verdict | "partly" | "nothing";

export type Tone = "good" | "plain" | "warning" | "alarm";

export const TONES: Readonly<Record<RangeVerdict, Tone>> = {
  verified: "good",
  recovered: "good",
  recording: "plain",
  nothing: "plain",
  unsigned: "warning",
  partly: "warning",
  untrusted: "alarm",
  unreadable: "alarm",
  changed: "alarm",
};

export function verdictOf({ state, recovered }: VerifiedSegment): Verdict {
  return state === "verified" && recovered ? "recovered" : state;
}

/** The worst is said of all: what was changed is not made good by what was not. */
const WORST: readonly Verdict[] = ["changed", "untrusted", "unreadable"];

export function rangeVerdict(segments: readonly VerifiedSegment[]): RangeVerdict {
  const found = new Set(segments.map(verdictOf));
  const worst = WORST.find((verdict) => found.has(verdict));
  if (worst !== undefined) return worst;
  const [only] = found;
  if (only === undefined) return "nothing";
  if (found.size === 1) return only;
  if (found.size === 2 && found.has("verified") && found.has("recovered")) return "recovered";
  return found.has("verified") || found.has("recovered") ? "partly" : "unsigned";
}

export interface Counted {
  verdict: Verdict;
  count: number;
}

/** How many recordings there are of each verdict, in the order of their first. */
export function counted(segments: readonly VerifiedSegment[]): Counted[] {
  const counts = new Map<Verdict, number>();
  for (const segment of segments) counts.set(verdictOf(segment), (counts.get(verdictOf(segment)) ?? 0) + 1);
  return [...counts].map(([verdict, count]) => ({ verdict, count }));
}

/** As people compare it: in groups of four. */
export function fingerprintText(hexadecimal: string): string {
  return (hexadecimal.toUpperCase().match(/.{1,4}/g) ?? []).join(" ");
}

/** A verdict that is older is asked for anew: a file may be changed at any time. */
const FRESH_MS = 60_000;
/** What is being recorded is signed soon. */
const GROWING_FRESH_MS = 5_000;
const NEAR_NOTHING_MS = 2_000;
const MOST = 500;

interface Kept {
  segment: VerifiedSegment | null;
  startMs: number;
  endMs: number;
  toldMs: number;
}

export interface Found {
  /** null: nothing is recorded then. */
  segment: VerifiedSegment | null;
  /** It was told lately; else it is to be asked for anew, and shown meanwhile. */
  fresh: boolean;
}

/** Answers that were told lately, by the time of the picture. */
export class Verdicts {
  private kept: Kept[] = [];

  put({ segments }: Verification, askedMs: number, nowMs: number): void {
    const told: Kept[] = segments.map((segment) => ({
      segment,
      startMs: Date.parse(segment.start),
      // What is being recorded has grown since it was told.
      endMs: Date.parse(segment.end) + (segment.state === "recording" ? GROWING_FRESH_MS : 0),
      toldMs: nowMs,
    }));
    if (told.length === 0) {
      told.push({ segment: null, startMs: askedMs - NEAR_NOTHING_MS, endMs: askedMs + NEAR_NOTHING_MS, toldMs: nowMs });
    }
    this.kept = [...told, ...this.kept].slice(0, MOST);
  }

  forget(): void {
    this.kept = [];
  }

  /** What was told last of a time; undefined: nothing yet. */
  find(ms: number, nowMs: number): Found | undefined {
    const found = this.kept.find(({ startMs, endMs }) => ms >= startMs && ms < endMs);
    if (!found) return undefined;
    const { segment, toldMs } = found;
    const freshMs = segment === null || segment.state === "recording" ? GROWING_FRESH_MS : FRESH_MS;
    return { segment, fresh: nowMs - toldMs <= freshMs };
  }
}
