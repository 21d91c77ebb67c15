/** What /api/v1 answers about evidence, exports, bookmarks, volumes and alarms. Times are RFC 3339 texts in UTC. */
import type { SpanJson } from "./types";

export type SegmentVerdict = "verified" | "changed" | "unsigned" | "recording" | "unreadable" | "untrusted";

export interface VerifiedSegment extends SpanJson {
  id: string;
  state: SegmentVerdict;
  signed_at: string | null;
  /** The machine that signed. */
  node: string | null;
  /** SHA-256 of its public key, hexadecimal. */
  key_fingerprint: string | null;
  /** Signed by repair after a crash, not when it was written. */
  recovered: boolean;
  /** It names the recording before it as its predecessor; null: it cannot be said. */
  follows: boolean | null;
  /** For a person, in English; empty when there is nothing to say. */
  detail: string;
}

export interface Verification {
  state: "verified" | "unverified" | "changed" | "unsigned" | "partial";
  segments: VerifiedSegment[];
}

export interface VolumeHold {
  /** Its path. */
  volume: string;
  holds: boolean;
  /** Why it does not hold, for a person. */
  detail: string;
}

export interface EvidenceLock extends SpanJson {
  id: string;
  camera_id: string;
  reason: string;
  created_by: string;
  created_at: string;
  holds: boolean;
  released_at: string | null;
  released_by: string | null;
  release_reason: string | null;
  volumes: VolumeHold[];
}

export interface LockList {
  locks: EvidenceLock[];
  next_cursor: string | null;
}

export interface NewLock extends SpanJson {
  camera_id: string;
  reason: string;
  created_by: string;
}

export interface Release {
  released_by: string;
  reason: string;
}

/** start and end are equal for a moment. */
export interface Bookmark extends SpanJson {
  id: string;
  camera_id: string;
  title: string;
  note: string;
  created_by: string;
  created_at: string;
}

export interface BookmarkList {
  bookmarks: Bookmark[];
  next_cursor: string | null;
}

export interface NewBookmark {
  camera_id: string;
  start: string;
  end?: string;
  title: string;
  note: string;
  created_by: string;
}

export type BookmarkPatch = Partial<Pick<NewBookmark, "start" | "end" | "title" | "note">>;

export interface BookmarkFilter {
  cameraId?: string;
  /** What title or note hold. */
  text?: string;
  startMs?: number;
  endMs?: number;
}

export type ExportState = "queued" | "running" | "done" | "failed" | "cancelled";

export interface ExportJob extends SpanJson {
  id: string;
  state: ExportState;
  /** 0 to 1 */
  progress: number;
  stage: string;
  bytes: number;
  /** Why it failed, for a person. */
  error: string | null;
  created_at: string;
  /** When its file is deleted. */
  expires_at: string | null;
  file_name: string | null;
  /** All that it was cut from is verified; null: not known. */
  verified: boolean | null;
  cameras: string[];
  exact: boolean;
  burn_in: { time: boolean; time_zone: string } | null;
  archive: boolean;
  title: string;
  note: string;
}

export interface NewExport extends SpanJson {
  cameras: string[];
  exact: boolean;
  burn_in: { time: boolean; time_zone: string } | null;
  archive: boolean;
  title: string;
  note: string;
}

export type VolumeState = "ok" | "failed" | "full" | "read_only" | "starting";

export interface Tier {
  name: string;
  kind: "directory" | "s3";
  used_bytes: number;
  quota_bytes: number;
  error: string | null;
}

export interface Volume {
  path: string;
  id: string | null;
  state: VolumeState;
  error: string | null;
  /** By recordings on the volume itself. */
  used_bytes: number;
  quota_bytes: number;
  /** What its file system still takes. */
  room_bytes: number;
  encrypted: boolean;
  tiers: Tier[];
  locked_bytes: number;
  alarms: string[];
  /** Recordings by what was found of them. */
  found: Record<string, number>;
}

export interface Alarm {
  slug: string;
  severity: "warning" | "critical";
  /** For a person, in English. */
  text: string;
  since: string;
  camera_id: string | null;
  /** Its path. */
  volume: string | null;
}
