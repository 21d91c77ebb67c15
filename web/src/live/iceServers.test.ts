import { expect, test } from "vitest";

import { iceServersIn, knownIceServers, learnIceServers } from "./iceServers";

const TURN = '<turn:turn.example:3478?transport=tcp>; rel="ice-server"; username="1764:vms"';

test("servers are read from a Link header with their credentials", () => {
  const link = `<stun:stun.example>; rel="ice-server", ${TURN}; credential="a\\"b, <c>;="; credential-type="password"`;
  expect(iceServersIn(link)).toEqual([
    { urls: "stun:stun.example" },
    { urls: "turn:turn.example:3478?transport=tcp", username: "1764:vms", credential: 'a"b, <c>;=' },
  ]);
});

test("whatever else a header links to is left out", () => {
  expect(iceServersIn(null)).toEqual([]);
  expect(iceServersIn('</docs>; rel="help", <https://evil.example>; rel="ice-server", <turn:x>; rel=next')).toEqual([]);
  expect(iceServersIn("<stun:plain.example>; rel=ice-server")).toEqual([{ urls: "stun:plain.example" }]);
});

test("new credentials of the same servers are kept, and are no news", () => {
  const server = { urls: "turn:turn.example", username: "1", credential: "a" };
  expect(learnIceServers([])).toBe(false);
  expect(learnIceServers([server])).toBe(true);
  expect(learnIceServers([{ ...server, username: "2" }])).toBe(false);
  expect(knownIceServers()).toEqual([{ ...server, username: "2" }]);
  expect(learnIceServers([])).toBe(false);
});
