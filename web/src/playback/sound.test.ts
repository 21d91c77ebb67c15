import { expect, test } from "vitest";

import { soundOf } from "./sound";

test("sound is offered only where the browser can play it", () => {
  expect(soundOf("opus", false)).toBe("heard");
  expect(soundOf("opus", true)).toBe("heard");
  expect(soundOf("pcmu", false)).toBe("heard");
  expect(soundOf("pcmu", true)).toBe("notRecorded");
  expect(soundOf("aac", false)).toBe("notLive");
  expect(soundOf("aac", false, "websocket")).toBe("heard");
  expect(soundOf("pcmu", false, "websocket")).toBe("notLive");
  expect(soundOf("aac", false, "webtransport")).toBe("heard");
  expect(soundOf("aac", true)).toBe("heard");
  expect(soundOf(null, false)).toBe("none");
});
