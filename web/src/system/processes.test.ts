import { expect, test } from "vitest";

import { ApiError, Unreachable } from "../api/client";
import type { Process } from "../api/types";
import { canRestart, inOrder, troubleOf } from "./processes";

const process = (change: Partial<Process>): Process => ({
  role: "media",
  worker: "media-0",
  pid: 123,
  state: "running",
  cameras: 12,
  viewers: 0,
  cpu_percent: 3.2,
  memory_bytes: 61_000_000,
  loop_lag_ms: 1.2,
  restarts: 0,
  uptime_s: 123.4,
  detail: "",
  ...change,
});

test("roles stand together in the order of the system, their processes by number, new roles last", () => {
  const names = ["nats", "media-10", "api-0", "later-0", "supervisor", "media-9", "stream-0"];
  const listed = names.map((worker) => process({ worker, role: worker.split("-")[0] as Process["role"] }));
  expect(inOrder(listed).map(({ worker }) => worker)).toEqual([
    "supervisor", "media-9", "media-10", "stream-0", "api-0", "nats", "later-0",
  ]);
});

test("anything but the supervisor can be restarted, unless it is stopping as it is", () => {
  expect(canRestart(process({}))).toBe(true);
  expect(canRestart(process({ state: "waiting" }))).toBe(true);
  expect(canRestart(process({ state: "stopping" }))).toBe(false);
  expect(canRestart(process({ role: "supervisor", worker: "supervisor" }))).toBe(false);
});

test("a supervisor that is away is told from a system that is", () => {
  expect(troubleOf(null)).toBeNull();
  expect(troubleOf(new ApiError(503, {}))).toBe("supervisor_away");
  expect(troubleOf(new Unreachable("gone"))).toBe("no_answer");
  expect(troubleOf(new ApiError(404, {}))).toBe("other");
});
