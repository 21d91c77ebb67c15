import { expect, test } from "vitest";

import { Silencer } from "./silence";

const u32 = (value: number) => [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
const text = (value: string) => [...value].map((letter) => letter.charCodeAt(0));
const box = (type: string, ...content: number[][]): number[] => {
  const body = content.flat();
  return [...u32(8 + body.length), ...text(type), ...body];
};
const full = (version: number) => [version, 0, 0, 0];

function trak(id: number, entry: string, version = 0): number[] {
  const times = Array<number>(version === 1 ? 16 : 8).fill(0);
  const stsd = box("stsd", full(0), u32(1), box(entry, Array<number>(20).fill(7)));
  return box(
    "trak",
    box("tkhd", full(version), times, u32(id), u32(0)),
    box("mdia", box("minf", box("stbl", stsd))),
  );
}
const init = (...traks: number[][]) => [
  ...box("ftyp", text("iso6")),
  ...box("moov", ...traks, box("mvex", box("trex", full(0), u32(1)), box("trex", full(0), u32(2)))),
];
const fragment = [
  ...box("prft", u32(0)),
  ...box("moof", box("traf", box("tfhd", full(0), u32(1))), box("traf", box("tfhd", full(0), u32(2)))),
  ...box("mdat", [1, 2, 3]),
];

const buffer = (bytes: number[]) => new Uint8Array(bytes).buffer;
const count = (data: ArrayBuffer, type: string) =>
  String.fromCharCode(...new Uint8Array(data)).split(type).length - 1;

test.each([0, 1])("G.711 is hidden in the init segment and in fragments, nothing moves (tkhd version %d)", (version) => {
  const silencer = new Silencer();
  const head = buffer(init(trak(1, "avc1"), trak(2, "ulaw", version)));
  const body = buffer(fragment);
  const lengths = [head.byteLength, body.byteLength];
  silencer.patch("a.mp4", head);
  silencer.patch("a.mp4", body);
  expect([count(head, "trak"), count(head, "trex"), count(head, "free")]).toEqual([1, 1, 2]);
  expect([count(body, "traf"), count(body, "free"), count(body, "mdat")]).toEqual([1, 1, 1]);
  expect([head.byteLength, body.byteLength]).toEqual(lengths);
});

test("what browsers play is left as it is", () => {
  const silencer = new Silencer();
  const head = buffer(init(trak(1, "avc1"), trak(2, "mp4a")));
  const body = buffer(fragment);
  silencer.patch("a.mp4", head);
  silencer.patch("a.mp4", body);
  expect(new Uint8Array(head)).toEqual(new Uint8Array(init(trak(1, "avc1"), trak(2, "mp4a"))));
  expect(new Uint8Array(body)).toEqual(new Uint8Array(fragment));
});

test("files are told apart", () => {
  const silencer = new Silencer();
  silencer.patch("a.mp4", buffer(init(trak(1, "avc1"), trak(2, "alaw"))));
  silencer.patch("b.mp4", buffer(init(trak(1, "avc1"), trak(2, "mp4a"))));
  const body = buffer(fragment);
  silencer.patch("b.mp4", body);
  expect(count(body, "traf")).toBe(2);
});

test("cut and senseless bytes do no harm", () => {
  const whole = [...init(trak(1, "avc1"), trak(2, "ulaw")), ...fragment];
  for (let index = 0; index < whole.length; index += 1) {
    const cut = buffer(whole.slice(0, index));
    const wrong = buffer(whole.with(index, 255));
    expect(() => new Silencer().patch("a.mp4", cut)).not.toThrow();
    expect(() => new Silencer().patch("a.mp4", wrong)).not.toThrow();
  }
});
