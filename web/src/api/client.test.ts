import { afterEach, expect, test, vi } from "vitest";

import { api, ApiError, apiError, Unreachable, url } from "./client";
import { shouldRetry } from "./queries";
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
