import { expect, test } from "vitest";

import { protocolIn } from "./chosenProtocol";

test("an experimental protocol is taken only where the address names it", () => {
  expect(protocolIn("?protocol=webtransport&page=2")).toBe("webtransport");
  expect(protocolIn("?protocol=hls")).toBeNull();
  expect(protocolIn("")).toBeNull();
});
