/**
 * When each picture of a piece of a recording is shown, read from its boxes (ISO/IEC 14496-12 §8.8). Pure.
 *
 * Belongs here: times and key flags of video samples. Does not: where they are in a player's time (frames.ts).
 */

export interface VideoTrack {
  id: number;
  /** Ticks a second. */
  timescale: number;
  defaultDuration: number;
  defaultFlags: number;
}

export interface Sample {
  /** Presentation time in seconds of the track's own timeline. */
  ptsS: number;
  durationS: number;
  key: boolean;
}

interface Box {
  type: string;
  /** Its content. */
  start: number;
  end: number;
}

/** sample_is_non_sync_sample, §8.8.3.1. */
const NON_SYNC = 0x10000;
const TFHD = { baseDataOffset: 0x1, description: 0x2, duration: 0x8, size: 0x10, flags: 0x20 } as const;
const TRUN = { dataOffset: 0x1, firstFlags: 0x4, duration: 0x100, size: 0x200, flags: 0x400, offset: 0x800 } as const;

function* boxes(view: DataView, start: number, end: number): Generator<Box> {
  for (let at = start; at + 8 <= end; ) {
    const size32 = view.getUint32(at);
    const wide = size32 === 1 && at + 16 <= end;
    const size = wide ? Number(view.getBigUint64(at + 8)) : size32 === 0 ? end - at : size32;
    const header = wide ? 16 : 8;
    if (size < header || at + size > end) return;
    const type = String.fromCharCode(...[4, 5, 6, 7].map((n) => view.getUint8(at + n)));
    yield { type, start: at + header, end: at + size };
    at += size;
  }
}

function child(view: DataView, parent: Box | null, type: string): Box | null {
  if (!parent) return null;
  for (const box of boxes(view, parent.start, parent.end)) if (box.type === type) return box;
  return null;
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** The video track of an init segment; null where there is none. */
export function videoTrack(init: Uint8Array): VideoTrack | null {
  const view = viewOf(init);
  const whole = { type: "", start: 0, end: init.byteLength };
  const moov = child(view, whole, "moov");
  if (!moov) return null;
  for (const trak of boxes(view, moov.start, moov.end)) {
    if (trak.type !== "trak") continue;
    const mdia = child(view, trak, "mdia");
    const hdlr = child(view, mdia, "hdlr");
    const mdhd = child(view, mdia, "mdhd");
    const tkhd = child(view, trak, "tkhd");
    if (!hdlr || !mdhd || !tkhd || view.getUint32(hdlr.start + 8) !== 0x76696465) continue; // "vide"
    const id = view.getUint32(tkhd.start + (view.getUint8(tkhd.start) === 1 ? 20 : 12));
    const timescale = view.getUint32(mdhd.start + (view.getUint8(mdhd.start) === 1 ? 20 : 12));
    return timescale > 0 ? { id, timescale, ...trackDefaults(view, moov, id) } : null;
  }
  return null;
}

function trackDefaults(view: DataView, moov: Box, id: number) {
  const mvex = child(view, moov, "mvex");
  for (const trex of mvex ? boxes(view, mvex.start, mvex.end) : []) {
    if (trex.type !== "trex" || view.getUint32(trex.start + 4) !== id) continue;
    return { defaultDuration: view.getUint32(trex.start + 12), defaultFlags: view.getUint32(trex.start + 20) };
  }
  return { defaultDuration: 0, defaultFlags: 0 };
}

/** The track's samples in the movie fragments of a media segment, in order of presentation. */
export function samplesOf(segment: Uint8Array, track: VideoTrack): Sample[] {
  const view = viewOf(segment);
  const found: Sample[] = [];
  for (const moof of boxes(view, 0, segment.byteLength)) {
    if (moof.type !== "moof") continue;
    for (const traf of boxes(view, moof.start, moof.end)) {
      if (traf.type === "traf") readTraf(view, traf, track, found);
    }
  }
  return found.sort((a, b) => a.ptsS - b.ptsS);
}

function readTraf(view: DataView, traf: Box, track: VideoTrack, found: Sample[]): void {
  const tfhd = child(view, traf, "tfhd");
  const tfdt = child(view, traf, "tfdt");
  if (!tfhd || !tfdt || view.getUint32(tfhd.start + 4) !== track.id) return;
  const present = view.getUint32(tfhd.start) & 0xffffff;
  let at = tfhd.start + 8 + (present & TFHD.baseDataOffset ? 8 : 0) + (present & TFHD.description ? 4 : 0);
  let duration = track.defaultDuration;
  let flags = track.defaultFlags;
  if (present & TFHD.duration) {
    duration = view.getUint32(at);
    at += 4;
  }
  if (present & TFHD.size) at += 4;
  if (present & TFHD.flags) flags = view.getUint32(at);
  const wide = view.getUint8(tfdt.start) === 1;
  let dts = wide ? Number(view.getBigUint64(tfdt.start + 4)) : view.getUint32(tfdt.start + 4);
  for (const trun of boxes(view, traf.start, traf.end)) {
    if (trun.type === "trun") dts = readTrun(view, trun, { ...track, defaultDuration: duration, defaultFlags: flags }, dts, found);
  }
}

function readTrun(view: DataView, trun: Box, track: VideoTrack, firstDts: number, found: Sample[]): number {
  const present = view.getUint32(trun.start) & 0xffffff;
  const count = view.getUint32(trun.start + 4);
  let at = trun.start + 8 + (present & TRUN.dataOffset ? 4 : 0);
  let firstFlags: number | null = null;
  if (present & TRUN.firstFlags) {
    firstFlags = view.getUint32(at);
    at += 4;
  }
  const fields = [TRUN.duration, TRUN.size, TRUN.flags, TRUN.offset].filter((bit) => present & bit).length;
  if (at + count * fields * 4 > trun.end) return firstDts;
  let dts = firstDts;
  for (let index = 0; index < count; index += 1) {
    const next = () => (at += 4) - 4;
    const duration = present & TRUN.duration ? view.getUint32(next()) : track.defaultDuration;
    if (present & TRUN.size) next();
    let flags = present & TRUN.flags ? view.getUint32(next()) : track.defaultFlags;
    if (index === 0 && firstFlags !== null) flags = firstFlags;
    // Signed also in version 0: writers set it so, and a positive one never needs the top bit.
    const offset = present & TRUN.offset ? view.getInt32(next()) : 0;
    found.push({
      ptsS: (dts + offset) / track.timescale,
      durationS: duration / track.timescale,
      key: (flags & NON_SYNC) === 0,
    });
    dts += duration;
  }
  return dts;
}
