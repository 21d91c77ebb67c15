/** What play controls and keys do, on one camera or on many at once. */
import type { Shortcuts } from "../app/shortcuts";
import { nextRate, reversed } from "./rates";

export const SHORT_JUMP_MS = 10_000;
export const LONG_JUMP_MS = 60_000;

export interface Transport {
  running: boolean;
  /** Something recorded is shown, not the present. */
  active: boolean;
  rate: number;
  /** The real speed where it is another. */
  actual: number | null;
  keyPictures: boolean;
  playheadMs: number;
  togglePlay: () => void;
  /** Forward or back by so many milliseconds of recording. */
  seekBy: (ms: number) => void;
  goTo: (ms: number) => void;
  step: (direction: 1 | -1) => void;
  setRate: (rate: number) => void;
  gap: (direction: 1 | -1) => void;
  event: (direction: 1 | -1) => void;
}

/** Turn round, and play. */
export function reverse(transport: Transport): void {
  transport.setRate(reversed(transport.rate));
  if (!transport.running) transport.togglePlay();
}

export function transportKeys(transport: Transport): Shortcuts {
  const { togglePlay, seekBy, step, setRate, gap, event, rate } = transport;
  const jump = (shift: boolean) => (shift ? LONG_JUMP_MS : SHORT_JUMP_MS);
  return {
    " ": togglePlay,
    k: togglePlay,
    ArrowLeft: ({ shiftKey }) => seekBy(-jump(shiftKey)),
    ArrowRight: ({ shiftKey }) => seekBy(jump(shiftKey)),
    j: () => seekBy(-SHORT_JUMP_MS),
    ",": () => step(-1),
    ".": () => step(1),
    "[": () => setRate(nextRate(rate, -1)),
    "]": () => setRate(nextRate(rate, 1)),
    "\\": () => setRate(1),
    r: () => reverse(transport),
    g: ({ shiftKey }) => gap(shiftKey ? -1 : 1),
    e: ({ shiftKey }) => event(shiftKey ? -1 : 1),
  };
}
