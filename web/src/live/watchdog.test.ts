import { describe, expect, test } from "vitest";

import { DELIVERS_AFTER_MS, isBroken, SERVER_GONE_AFTER_MS, type Signs, SILENT_AFTER_MS } from "./watchdog";

const LAST_MS = 100_000;
/** The last picture and the last word of the server came at LAST_MS, of a camera that is up since long. */
const signs = (change: Partial<Signs> = {}): Signs => ({
  sourceUp: true,
  sourceUpSinceMs: 0,
  deliversAtMs: LAST_MS,
  lastFrameMs: LAST_MS,
  lastHeardMs: LAST_MS,
  ...change,
});

describe("a view without new pictures", () => {
  test("is broken when its server says nothing at all", () => {
    expect(isBroken(signs(), LAST_MS + SERVER_GONE_AFTER_MS - 1)).toBe(false);
    expect(isBroken(signs(), LAST_MS + SERVER_GONE_AFTER_MS)).toBe(true);
  });

  test("is whole while the server answers: the camera may be silent, or seldom send a picture", () => {
    const nowMs = LAST_MS + 60_000;
    expect(isBroken(signs({ lastHeardMs: nowMs - 2_600 }), nowMs)).toBe(false);
  });

  test("is broken though the server answers when the camera goes on delivering", () => {
    const nowMs = LAST_MS + DELIVERS_AFTER_MS;
    expect(isBroken(signs({ lastHeardMs: nowMs, deliversAtMs: nowMs }), nowMs)).toBe(true);
    expect(isBroken(signs({ lastHeardMs: nowMs, deliversAtMs: LAST_MS + 2_000 }), nowMs)).toBe(false);
  });

  test("is not broken while the camera is away, and has its time when that returns", () => {
    const nowMs = LAST_MS + 60_000;
    expect(isBroken(signs({ sourceUp: false }), nowMs)).toBe(false);
    expect(isBroken(signs({ sourceUpSinceMs: nowMs }), nowMs + SILENT_AFTER_MS - 1)).toBe(false);
    expect(isBroken(signs({ sourceUpSinceMs: nowMs, lastHeardMs: nowMs }), nowMs + SILENT_AFTER_MS)).toBe(true);
  });
});
