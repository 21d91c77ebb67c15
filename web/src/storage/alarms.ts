/** What the app decides about alarms and volumes. Pure. */
import type { Alarm, Volume } from "../api/evidenceTypes";

/** Slugs that the app has words for (`alarm.<slug>`); others are shown in the server's. */
const KNOWN = [
  "camera_not_recorded",
  "volume_failed",
  "full",
  "full_of_protected",
  "read_only",
  "stalled",
  "tier_unreachable",
  "tier_full",
  "locks_unreadable",
  "locks_unnamed",
  "keeper_away",
  "cameras_unknown",
] as const;
export type KnownSlug = (typeof KNOWN)[number];

export function knownSlug(slug: string): KnownSlug | null {
  return KNOWN.find((known) => known === slug) ?? null;
}

export function keyOf({ slug, camera_id: cameraId, volume }: Alarm): string {
  return [slug, cameraId, volume].join("|");
}

/** Where one sees more of it. */
export function linkOf({ camera_id: cameraId }: Alarm): string {
  return cameraId === null ? "/system#volumes" : `/cameras/${cameraId}`;
}

export const criticalOf = (alarms: readonly Alarm[]): Alarm[] => alarms.filter(({ severity }) => severity === "critical");

/** Some alarm is not among those that somebody has put away. */
export function anyNew(alarms: readonly Alarm[], putAway: ReadonlySet<string>): boolean {
  return alarms.some((alarm) => !putAway.has(keyOf(alarm)));
}

export interface Shares {
  /** Of its quota, 0 to 1. */
  used: number;
  /** Of it, under locks. */
  locked: number;
}

/** How much of its quota is used; a quota of 0 has no share. */
export function sharesOf({ used_bytes: used, quota_bytes: quota, locked_bytes: locked }: Pick<Volume, "used_bytes" | "quota_bytes" | "locked_bytes">): Shares {
  if (quota <= 0) return { used: 0, locked: 0 };
  const share = Math.min(1, used / quota);
  return { used: share, locked: Math.min(share, locked / quota) };
}

/** What was found of recordings that is worth a word, the worst first. */
const FINDINGS = ["missing", "unreadable", "repaired", "empty"] as const;
export type Finding = (typeof FINDINGS)[number];

export function findingsOf({ found }: Pick<Volume, "found">): { finding: Finding; count: number }[] {
  return FINDINGS.map((finding) => ({ finding, count: found[finding] ?? 0 })).filter(({ count }) => count > 0);
}
