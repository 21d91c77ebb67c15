// @vitest-environment jsdom
import { renderHook } from "@testing-library/react";
import { afterEach, expect, test, vi } from "vitest";

import { useShortcuts } from "./shortcuts";

afterEach(() => {
  document.body.innerHTML = "";
});

function press(key: string, target: Element = document.body, init: KeyboardEventInit = {}) {
  target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...init }));
}

function on(html: string): Element {
  document.body.innerHTML = html;
  return document.body.querySelector("[data-here]") ?? document.body;
}

test("a key does its work anywhere on the page, in either case", () => {
  const action = vi.fn<() => void>();
  renderHook(() => useShortcuts({ f: action }));
  press("f");
  press("F");
  expect(action).toHaveBeenCalledTimes(2);
});

test("keys are left alone while something is typed, in dialogs, and with Ctrl", () => {
  const action = vi.fn<() => void>();
  renderHook(() => useShortcuts({ f: action }));
  press("f", on("<input data-here>"));
  press("f", on("<div role=dialog><p data-here></p></div>"));
  press("f", document.body, { ctrlKey: true });
  expect(action).not.toHaveBeenCalled();
});

test("Space on a button presses that button, while letters still work there", () => {
  const play = vi.fn<() => void>();
  const mute = vi.fn<() => void>();
  renderHook(() => useShortcuts({ " ": play, m: mute }));
  const button = on("<button data-here></button>");
  press(" ", button);
  press("m", button);
  expect(play).not.toHaveBeenCalled();
  expect(mute).toHaveBeenCalledOnce();
});
