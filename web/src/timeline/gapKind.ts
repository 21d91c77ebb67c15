/** Gaps by what an operator does about them. */
export type GapKind = "fault" | "loss" | "planned";

/** Reasons as the API names them (vms.media.gap). */
export const GAP_REASONS = {
  camera_lost: "fault",
  no_frames: "fault",
  disk_error: "fault",
  overrun: "fault",
  packet_loss: "loss",
  clock_jump: "loss",
  recording_off: "planned",
  no_event: "planned",
  not_scheduled: "planned",
  system_stopped: "planned",
  unknown: "planned",
} as const satisfies Record<string, GapKind>;

export type GapReason = keyof typeof GAP_REASONS;

/** The reason, or `unknown` for one that a newer server has added. */
export function knownReason(reason: string): GapReason {
  return Object.hasOwn(GAP_REASONS, reason) ? (reason as GapReason) : "unknown";
}

export function gapKind(reason: string): GapKind {
  return GAP_REASONS[knownReason(reason)];
}
