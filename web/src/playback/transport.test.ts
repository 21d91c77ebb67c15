import { expect, test, vi } from "vitest";

import { reverse, type Transport, transportKeys } from "./transport";

function made(change: Partial<Transport> = {}): Transport {
  const state = { running: true, active: true, rate: 1, actual: null, keyPictures: false, playheadMs: 0 };
  const acts = { togglePlay: vi.fn(), seekBy: vi.fn(), goTo: vi.fn(), step: vi.fn(), setRate: vi.fn(), gap: vi.fn(), event: vi.fn() };
  return { ...state, ...acts, ...change };
}
const press = (transport: Transport, key: string, shiftKey = false) => transportKeys(transport)[key]?.({ shiftKey } as KeyboardEvent);

test("arrows jump ten seconds, with Shift a minute", () => {
  const transport = made();
  press(transport, "ArrowLeft");
  press(transport, "ArrowRight", true);
  expect(vi.mocked(transport.seekBy).mock.calls).toEqual([[-10_000], [60_000]]);
});

test("the keys for speed go through backwards, and one key leads back to normal", () => {
  const transport = made({ rate: 0.25 });
  press(transport, "[");
  press(transport, "]");
  press(transport, "\\");
  expect(vi.mocked(transport.setRate).mock.calls).toEqual([[-1], [0.5], [1]]);
});

test("Shift turns the jumps to gaps and events round", () => {
  const transport = made();
  press(transport, "g");
  press(transport, "g", true);
  press(transport, "e", true);
  expect(vi.mocked(transport.gap).mock.calls).toEqual([[1], [-1]]);
  expect(vi.mocked(transport.event).mock.calls).toEqual([[-1]]);
});

test("turning round while paused plays backwards", () => {
  const transport = made({ running: false, rate: 4 });
  reverse(transport);
  expect(transport.setRate).toHaveBeenCalledWith(-4);
  expect(transport.togglePlay).toHaveBeenCalledOnce();
});
