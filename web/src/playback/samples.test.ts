import { expect, test } from "vitest";

import { samplesOf, videoTrack } from "./samples";

type Part = number[] | Uint8Array;
const u32 = (value: number) => [(value >>> 24) & 255, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
const box = (type: string, ...parts: Part[]): number[] => {
  const body = parts.flatMap((part) => [...part]);
  return [...u32(body.length + 8), ...[...type].map((letter) => letter.charCodeAt(0)), ...body];
};
const name = (text: string) => [...text].map((letter) => letter.charCodeAt(0));
const trak = (id: number, handler: string, timescale: number) =>
  box(
    "trak",
    box("tkhd", u32(0), u32(0), u32(0), u32(id)),
    box("mdia", box("mdhd", u32(0), u32(0), u32(0), u32(timescale)), box("hdlr", u32(0), u32(0), name(handler))),
  );
const KEY = 0x02000000;
const OTHER = 0x01010000;
const trex = (id: number) => box("trex", u32(0), u32(id), u32(1), u32(3600), u32(0), u32(OTHER));
const init = new Uint8Array([...box("ftyp"), ...box("moov", trak(1, "soun", 8000), trak(2, "vide", 90_000), box("mvex", trex(1), trex(2)))]);

const tfdt = (time: number) => box("tfdt", [1, 0, 0, 0], u32(0), u32(time));
const moof = (time: number, tfhd: number[], trun: number[]) => box("moof", box("mfhd"), box("traf", tfhd, tfdt(time), trun));
const bytes = (...parts: number[][]) => new Uint8Array(parts.flat());

test("the video track is found beside sound, with its timescale and defaults", () => {
  expect(videoTrack(init)).toEqual({ id: 2, timescale: 90_000, defaultDuration: 3600, defaultFlags: OTHER });
  expect(videoTrack(new Uint8Array(box("ftyp")))).toBeNull();
});

test("defaults and the first sample's own flags hold where samples say nothing", () => {
  const track = videoTrack(init)!;
  const tfhd = box("tfhd", u32(0x20000), u32(2));
  const trun = box("trun", u32(0x000005), u32(3), u32(0), u32(KEY));
  const found = samplesOf(bytes(box("prft"), moof(90_000, tfhd, trun), box("mdat", [1, 2, 3])), track);
  expect(found).toEqual([
    { ptsS: 1, durationS: 0.04, key: true },
    { ptsS: 1.04, durationS: 0.04, key: false },
    { ptsS: 1.08, durationS: 0.04, key: false },
  ]);
});

test("samples' own durations, flags and offsets count, over several fragments, in the order they are shown", () => {
  const track = videoTrack(init)!;
  const tfhd = box("tfhd", u32(0x20008), u32(2), u32(1000));
  // A picture that is shown after the one that follows it, as with B-frames.
  const trun = box("trun", u32(0x000f00), u32(2), u32(9000), u32(10), u32(KEY), u32(9000), u32(900), u32(10), u32(OTHER), u32(0));
  const later = box("trun", u32(0x000100), u32(1), u32(4500));
  const found = samplesOf(bytes(moof(0, tfhd, trun), box("mdat"), moof(18_000, tfhd, later)), track);
  expect(found.map(({ ptsS, durationS, key }) => [ptsS, durationS, key])).toEqual([
    [0.1, 0.1, true],
    [0.1, 0.01, false],
    [0.2, 0.05, false],
  ]);
});

test("another track's samples and boxes that are cut short are passed over", () => {
  const track = videoTrack(init)!;
  const sound = moof(0, box("tfhd", u32(0), u32(1)), box("trun", u32(0), u32(5)));
  const short = moof(0, box("tfhd", u32(0), u32(2)), box("trun", u32(0x000100), u32(9), u32(1)));
  expect(samplesOf(bytes(sound, short, [0, 0, 1, 0, 109]), track)).toEqual([]);
});
