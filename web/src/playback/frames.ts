/**
 * Which picture is the next one, and where in a player's time it is shown. Pure.
 *
 * A step aims at the middle of a picture's time, so rounding of a few milliseconds changes nothing.
 */
import type { Sample } from "./samples";
import type { Piece } from "./window";

export interface FramePiece extends Piece {
  /** Of its pictures, in order; null: its media is not here yet. */
  samples: readonly Sample[] | null;
}

export type Step =
  /** mediaS: a place inside the picture. */
  | { kind: "at"; mediaS: number }
  /** Beyond the first or last picture of this playlist. */
  | { kind: "before" | "after" };

interface Frame {
  startS: number;
  endS: number;
  key: boolean;
}

/** A player's time is rounded: what is this close to a picture's start is in it. */
const ROUNDING_S = 0.002;

/** The piece's pictures in the player's time. */
export function framesOf(piece: FramePiece): Frame[] {
  const { samples, mediaStartS, durationS } = piece;
  const first = samples?.[0];
  if (!samples || !first) return [];
  return samples.map((sample, index) => {
    const startS = mediaStartS + sample.ptsS - first.ptsS;
    const next = samples[index + 1];
    const endS = next ? mediaStartS + next.ptsS - first.ptsS : Math.max(startS + 0.001, mediaStartS + durationS);
    return { startS, endS, key: sample.key };
  });
}

function pieceAt(pieces: readonly FramePiece[], mediaS: number): number {
  return Math.max(0, pieces.findLastIndex((piece) => piece.mediaStartS <= mediaS + ROUNDING_S));
}

const middle = (frame: Frame) => (frame.startS + frame.endS) / 2;

/** One picture further (1) or back (-1) from the one at `mediaS`. `frameS` is a guess where media is not here yet. */
export function stepFrom(pieces: readonly FramePiece[], mediaS: number, direction: 1 | -1, frameS: number): Step {
  const index = pieceAt(pieces, mediaS);
  const piece = pieces[index];
  if (!piece) return { kind: direction > 0 ? "after" : "before" };
  const frames = framesOf(piece);
  if (frames.length === 0) return guess(pieces, mediaS, direction, frameS);
  const shown = Math.max(0, frames.findLastIndex((frame) => frame.startS <= mediaS + ROUNDING_S));
  const next = frames[shown + direction];
  if (next) return { kind: "at", mediaS: middle(next) };
  const neighbour = pieces[index + direction];
  if (!neighbour) return { kind: direction > 0 ? "after" : "before" };
  const beyond = framesOf(neighbour).at(direction > 0 ? 0 : -1);
  if (beyond) return { kind: "at", mediaS: middle(beyond) };
  const { mediaStartS, durationS } = neighbour;
  return { kind: "at", mediaS: direction > 0 ? mediaStartS + frameS / 2 : mediaStartS + durationS - frameS / 2 };
}

function guess(pieces: readonly FramePiece[], mediaS: number, direction: 1 | -1, frameS: number): Step {
  const to = mediaS + direction * frameS;
  const last = pieces.at(-1);
  if (to < (pieces[0]?.mediaStartS ?? 0)) return { kind: "before" };
  if (last && to >= last.mediaStartS + last.durationS) return { kind: "after" };
  return { kind: "at", mediaS: to };
}

/** The middle of the newest key picture at or before `mediaS`; where media is not here yet, of the piece's first. */
export function keyAt(pieces: readonly FramePiece[], mediaS: number, frameS: number): number {
  const piece = pieces[pieceAt(pieces, mediaS)];
  if (!piece) return mediaS;
  const key = framesOf(piece).findLast((frame) => frame.key && frame.startS <= mediaS + ROUNDING_S);
  return key ? middle(key) : piece.mediaStartS + frameS / 2;
}
