import { expect, test } from "vitest";

import type { SubStream } from "../api/types";
import type { LiveView } from "./session";
import { streamShown } from "./streamShown";

const sub = (width: number | null) => ({ width }) as SubStream;
const main: LiveView = { protocol: "webrtc", stream: "main" };

test("the stream that the server named is shown, unless the picture is that of the sub stream", () => {
  const camera = { width: 1920, sub: sub(640) };
  expect(streamShown(main, camera, 1920)).toBe("main");
  expect(streamShown(main, camera, 640)).toBe("sub");
  expect(streamShown({ ...main, stream: "compat" }, camera, 640)).toBe("compat");
  expect(streamShown({ ...main, stream: null }, camera, 640)).toBeNull();
});

test("what is not known, or the same for both, proves nothing", () => {
  expect(streamShown(main, { width: 640, sub: sub(640) }, 640)).toBe("main");
  expect(streamShown(main, { width: null, sub: sub(null) }, 0)).toBe("main");
  expect(streamShown(main, { width: 640, sub: null }, 640)).toBe("main");
});
