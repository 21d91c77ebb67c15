import { afterEach, expect, test, vi } from "vitest";

import { api, ApiError, apiError, isTransient, retryAfterMs, Unreachable, url } from "./client";
import { connectionOf, LOST_AFTER_MS, retryDelay, shouldRetry } from "./queries";
import { readRecordings } from "./recordings";

afterEach(() => vi.unstubAllGlobals());

const problem = (status: number, body: object) =>
  new Response(JSON.stringify(body), { status, headers: { "content-type": "application/problem+json" } });

test("errors of fields are found by the last name of their path", () => {
  const error = new ApiError(422, {
    errors: [
      { path: "body.source", message: "must begin with rtsp://" },
      { path: "/name", message: "is empty" },
      { path: "body.source", message: "a second one" },
    ],
  });
  expect(error.fieldErrors()).toEqual({ source: "must begin with rtsp://", name: "is empty" });
});

test("a refusal carries the server's words", async () => {
  vi.stubGlobal("fetch", () => Promise.resolve(problem(409, { title: "Conflict", detail: "the id is taken" })));
  await expect(api.deleteCamera("porch")).rejects.toMatchObject({ status: 409, message: "the id is taken" });
});

test("no answer, or a proxy's in its place, is unreachable and worth a retry", async () => {
  vi.stubGlobal("fetch", () => Promise.reject(new TypeError("failed to fetch")));
  await expect(api.cameras()).rejects.toBeInstanceOf(Unreachable);
  expect(await apiError(new Response("<h1>Bad gateway</h1>", { status: 502 }))).toBeInstanceOf(Unreachable);
  expect(shouldRetry(0, new Unreachable("gone"))).toBe(true);
  expect(shouldRetry(0, new ApiError(404, {}))).toBe(false);
});

test("a process that is being restarted is waited for, a refusal is not", () => {
  expect([502, 503, 504].map((status) => isTransient(new ApiError(status, {})))).toEqual([true, true, true]);
  expect([401, 404, 409, 500].map((status) => isTransient(new ApiError(status, {})))).toEqual([false, false, false, false]);
  expect(shouldRetry(50, new ApiError(503, {}))).toBe(true);
  expect(retryDelay(50)).toBeLessThanOrEqual(4_000);
});

test("what was told last is shown on, quietly at first", () => {
  const toldAtMs = 1_000_000;
  expect(connectionOf(null, toldAtMs, 0)).toBe("ok");
  expect(connectionOf(new ApiError(404, {}), toldAtMs, toldAtMs + 60_000)).toBe("ok");
  expect(connectionOf(new Unreachable("gone"), toldAtMs, toldAtMs + 2_000)).toBe("retrying");
  expect(connectionOf(new Unreachable("gone"), toldAtMs, toldAtMs + LOST_AFTER_MS)).toBe("lost");
});

test("Retry-After is read in seconds; anything else is no wish", () => {
  expect(["2", " 0 ", null, "", "-1", "Wed, 21 Oct 2026 07:28:00 GMT"].map(retryAfterMs)).toEqual([
    2_000, 0, undefined, undefined, undefined, undefined,
  ]);
});

test("a process is restarted by its name", async () => {
  const fetched = vi.fn<typeof fetch>(() => Promise.resolve(Response.json({ workers: ["media-0"] }, { status: 202 })));
  vi.stubGlobal("fetch", fetched);
  expect(await api.restartProcess("media-0")).toEqual({ workers: ["media-0"] });
  expect(fetched).toHaveBeenCalledWith("/api/v1/system/processes/media-0/restart", expect.objectContaining({ method: "POST" }));
});

test("an error that is no JSON is still an error with a status", async () => {
  expect(await apiError(new Response("oops", { status: 500 }))).toMatchObject({ status: 500 });
});

test("addresses are encoded and times are UTC", () => {
  expect(url.exportMp4("porch", 0, 1500)).toBe(
    "/api/v1/cameras/porch/export.mp4?start=1970-01-01T00%3A00%3A00.000Z&end=1970-01-01T00%3A00%3A01.500Z",
  );
  expect(url.snapshot("a/b")).toBe("/api/v1/cameras/a%2Fb/snapshot.jpg");
});

test("a gap that still lasts ends with the answer's range", () => {
  const answer = {
    spans: [{ start: "2026-11-23T14:00:00Z", end: "2026-11-23T14:01:00Z" }],
    segments: [],
    gaps: [{ start: "2026-11-23T14:01:00Z", end: null, reason: "camera_lost" }],
  };
  const endMs = Date.parse("2026-11-23T14:05:00Z");
  expect(readRecordings(answer, endMs).gaps).toEqual([
    { startMs: Date.parse("2026-11-23T14:01:00Z"), endMs, reason: "camera_lost", open: true },
  ]);
});
