import { expect, test } from "vitest";

import { Ways } from "./ways";

const direct = { protocol: "webrtc", stream: null } as const;
const main = { protocol: "webrtc", stream: "main" } as const;
const compat = { protocol: "webrtc", stream: "compat" } as const;
const socket = { protocol: "websocket", stream: "main" } as const;

test("a protocol that twice finds no path is left, whatever the stream", () => {
  const ways = new Ways();
  expect(ways.failed(direct, "media")).toBe(false);
  expect(ways.anyLeft).toBe(false);
  expect(ways.failed(main, "media")).toBe(true);
  expect([main, compat, socket].map((way) => ways.isLeft(way))).toEqual([true, true, false]);
});

test("a stream that cannot be decoded is left at once, and alone", () => {
  const ways = new Ways();
  expect(ways.failed(main, "codec")).toBe(true);
  expect(ways.failed(main, "codec")).toBe(false);
  expect([main, compat].map((way) => ways.isLeft(way))).toEqual([true, false]);
});

test("a server that is away or refuses says nothing of the way", () => {
  const ways = new Ways();
  for (const code of ["network", "unavailable", "refused", "not_live", "frozen"] as const) {
    for (let time = 0; time < 5; time += 1) expect(ways.failed(main, code)).toBe(false);
  }
  expect(ways.anyLeft).toBe(false);
});

test("failures before a picture came are forgotten with it, and all of them when a view begins afresh", () => {
  const ways = new Ways();
  ways.failed(main, "media");
  ways.played(main);
  expect(ways.failed(main, "media")).toBe(false);
  expect(ways.failed(main, "media")).toBe(true);
  ways.forget();
  expect(ways.isLeft(main)).toBe(false);
  expect(ways.failed(main, "media")).toBe(false);
});
