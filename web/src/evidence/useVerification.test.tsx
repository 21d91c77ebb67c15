// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, cleanup, renderHook } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import type { SegmentVerdict } from "../api/evidenceTypes";
import { fetchVerification, useVerification } from "./useVerification";

const AT = Date.parse("2026-11-23T10:00:00Z");
const MINUTE_MS = 60_000;
let asked: number[] = [];
let state: SegmentVerdict = "verified";

/** A recording a minute; the time that is asked for is noted. */
function answer(address: string): Pick<Response, "ok" | "status" | "json"> {
  const startMs = Date.parse(new URL(address, "http://vms").searchParams.get("start") ?? "");
  asked.push(startMs);
  const fileMs = Math.floor(startMs / MINUTE_MS) * MINUTE_MS;
  const segment = {
    id: String(fileMs),
    start: new Date(fileMs).toISOString(),
    end: new Date(fileMs + MINUTE_MS).toISOString(),
    state,
    signed_at: null,
    node: null,
    key_fingerprint: null,
    recovered: false,
    follows: null,
    detail: "",
  };
  return { ok: true, status: 200, json: () => Promise.resolve({ state: "verified", segments: [segment] }) };
}

beforeEach(() => {
  asked = [];
  state = "verified";
  vi.useFakeTimers();
  vi.stubGlobal("fetch", (address: string) => Promise.resolve(answer(address)));
});
afterEach(() => {
  cleanup();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

function watch(atMs: number | null) {
  const client = new QueryClient();
  const wrapper = ({ children }: { children: ReactNode }) => <QueryClientProvider client={client}>{children}</QueryClientProvider>;
  return renderHook((ms: number | null) => useVerification("porch", ms), { initialProps: atMs, wrapper });
}

/** In steps, for nothing is drawn before one ends. */
async function pass(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 50) await act(() => vi.advanceTimersByTimeAsync(50));
}

test("a recording that plays is asked about once, and the next one when it is reached", async () => {
  const { result, rerender } = watch(AT);
  expect(result.current.checking).toBe(true);
  await pass(1_000);
  expect(result.current.segment?.state).toBe("verified");
  for (let ms = 0; ms < MINUTE_MS; ms += 10_000) {
    rerender(AT + ms);
    await pass(1_000);
  }
  expect(asked).toEqual([AT]);
  rerender(AT + MINUTE_MS);
  await pass(1_000);
  expect(asked).toEqual([AT, AT + MINUTE_MS]);
  rerender(AT + 30_000);
  expect(result.current.segment?.id).toBe(String(AT));
});

test("what is passed by is not asked about", async () => {
  const { rerender } = watch(AT);
  for (let step = 1; step <= 3; step += 1) {
    await pass(100);
    rerender(AT + step * MINUTE_MS);
  }
  await pass(1_000);
  expect(asked).toEqual([AT + 3 * MINUTE_MS]);
});

test("what the server leaves for later is asked for, so that a range is not called verified by its first part", async () => {
  const whole = ["a", "b", "c"];
  let told = 0;
  vi.stubGlobal("fetch", () => {
    told = Math.min(whole.length, told + 2);
    const segments = whole.slice(0, told).map((id) => ({ id, state: id === "c" ? "unsigned" : "verified" }));
    return Promise.resolve({ ok: true, status: 200, json: () => Promise.resolve({ state: "partial", segments }) });
  });
  const found = await fetchVerification("porch", { startMs: AT, endMs: AT + MINUTE_MS }, new AbortController().signal);
  expect(found.map(({ id }) => id)).toEqual(whole);
});

test("a long range is asked for in pieces", async () => {
  await fetchVerification("porch", { startMs: AT, endMs: AT + 25 * MINUTE_MS }, new AbortController().signal);
  expect(asked).toEqual([AT, AT + 10 * MINUTE_MS, AT + 20 * MINUTE_MS]);
});

test("a verdict that has become old is shown while it is asked for anew", async () => {
  const { result, rerender } = watch(AT);
  await pass(1_000);
  await pass(60_000);
  rerender(AT + 1);
  expect(result.current.segment?.state).toBe("verified");
  await pass(1_000);
  expect(asked).toHaveLength(2);
});

test("what the server refuses is not asked for over and over", async () => {
  let refused = 0;
  vi.stubGlobal("fetch", () => {
    refused += 1;
    return Promise.resolve({ ok: false, status: 404, headers: new Headers() });
  });
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  const wrapper = ({ children }: { children: ReactNode }) => <QueryClientProvider client={client}>{children}</QueryClientProvider>;
  const { result } = renderHook(() => useVerification("porch", AT), { wrapper });
  await pass(4_000);
  expect(result.current.error).not.toBeNull();
  expect(refused).toBe(1);
});

test("live view asks nothing", async () => {
  const { result } = watch(null);
  await pass(5_000);
  expect(result.current.segment).toBeNull();
  expect(asked).toEqual([]);
});

test("asked again, a recording that was changed meanwhile is said to be", async () => {
  const { result } = watch(AT);
  await pass(1_000);
  state = "changed";
  act(() => result.current.again());
  await pass(1_000);
  expect(result.current.segment?.state).toBe("changed");
});
