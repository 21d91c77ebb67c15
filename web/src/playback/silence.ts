/**
 * Hides sound that browsers cannot play from recordings (G.711), so that their pictures still can be.
 *
 * A media source refuses a whole MP4 when one track's codec is unknown to it. The track's boxes are
 * renamed to `free` (ISO 14496-12 §8.1.2) in the init segment and in every fragment: nothing moves, so
 * no offset changes, and players skip them.
 */

/** Sample entries of G.711 (ISO/IEC 14496-12 registered codes). */
const UNPLAYABLE = new Set(["ulaw", "alaw"]);
const HEADER = 8;

interface Box {
  type: string;
  /** Of its content, behind the header. */
  start: number;
  end: number;
}

function typeAt(view: DataView, offset: number): string {
  return String.fromCharCode(
    view.getUint8(offset),
    view.getUint8(offset + 1),
    view.getUint8(offset + 2),
    view.getUint8(offset + 3),
  );
}

/** The boxes between two offsets, as far as they are whole. */
function* boxes(view: DataView, from: number, to: number): Generator<Box> {
  let at = from;
  while (at + HEADER <= to) {
    let size = view.getUint32(at);
    let header = HEADER;
    if (size === 1 && at + 16 <= to) {
      size = Number(view.getBigUint64(at + 8));
      header = 16;
    }
    if (size < header || at + size > to) return;
    yield { type: typeAt(view, at + 4), start: at + header, end: at + size };
    at += size;
  }
}

function find(view: DataView, box: Box, ...path: string[]): Box | undefined {
  const [type, ...rest] = path;
  for (const child of boxes(view, box.start, box.end)) {
    if (child.type === type) return rest.length === 0 ? child : find(view, child, ...rest);
  }
  return undefined;
}

/** The number that follows `skip` bytes of a box's content; null when the box is too short. */
function number(view: DataView, box: Box | undefined, skip: number): number | null {
  return box && box.start + skip + 4 <= box.end ? view.getUint32(box.start + skip) : null;
}

function free(view: DataView, box: Box): void {
  for (const [index, letter] of [..."free"].entries()) {
    view.setUint8(box.start - HEADER + 4 + index, letter.charCodeAt(0));
  }
}

/** The id of a track that cannot be played, else null. */
function unplayableId(view: DataView, trak: Box): number | null {
  const entries = find(view, trak, "mdia", "minf", "stbl", "stsd");
  if (!entries || entries.start + 8 + HEADER > entries.end) return null;
  if (!UNPLAYABLE.has(typeAt(view, entries.start + 8 + 4))) return null;
  const tkhd = find(view, trak, "tkhd");
  const version = tkhd && tkhd.start < tkhd.end ? view.getUint8(tkhd.start) : 0;
  return number(view, tkhd, version === 1 ? 20 : 12);
}

function hideInInit(view: DataView, moov: Box): Set<number> {
  const hidden = new Set<number>();
  for (const box of boxes(view, moov.start, moov.end)) {
    const id = box.type === "trak" ? unplayableId(view, box) : null;
    if (id === null) continue;
    hidden.add(id);
    free(view, box);
  }
  const mvex = find(view, moov, "mvex");
  for (const trex of mvex ? boxes(view, mvex.start, mvex.end) : []) {
    if (trex.type === "trex" && hidden.has(number(view, trex, 4) ?? -1)) free(view, trex);
  }
  return hidden;
}

function hideInFragment(view: DataView, moof: Box, hidden: ReadonlySet<number>): void {
  for (const traf of boxes(view, moof.start, moof.end)) {
    if (traf.type !== "traf") continue;
    if (hidden.has(number(view, find(view, traf, "tfhd"), 4) ?? -1)) free(view, traf);
  }
}

/** Patches what is loaded of recording files, in place; remembers by file which tracks are hidden. */
export class Silencer {
  private readonly files = new Map<string, ReadonlySet<number>>();

  patch(file: string, data: ArrayBuffer): void {
    const view = new DataView(data);
    for (const box of boxes(view, 0, data.byteLength)) {
      if (box.type === "moov") this.files.set(file, hideInInit(view, box));
      const hidden = this.files.get(file);
      if (box.type === "moof" && hidden !== undefined && hidden.size > 0) hideInFragment(view, box, hidden);
    }
  }
}
