import { describe, expect, test } from "vitest";

import {
  backOffMs,
  type Effect,
  FIRST_PICTURE_WITHIN_MS,
  INITIAL,
  type LiveEvent,
  type LiveState,
  RECONNECT_AFTER_STALL_MS,
  STALLED_AFTER_MS,
  step,
} from "./machine";

/** Plays events against a clock that only moves when told to. */
class Script {
  state: LiveState = INITIAL;
  nowMs = 1_000_000;
  effects: Effect[] = [];
  connected = true;
  private frames = 0;

  send(event: LiveEvent): this {
    const { state, effect } = step(this.state, event, this.nowMs, () => 1);
    this.state = state;
    if (effect === "open") this.frames = 0;
    if (effect !== null) this.effects.push(effect);
    return this;
  }

  /** Time passes, with pictures or without. */
  wait(ms: number, pictures: boolean): this {
    for (let passed = 0; passed < ms; passed += 500) {
      this.nowMs += 500;
      if (pictures) this.frames += 12;
      this.send({ type: "tick", frames: this.frames, connected: this.connected });
    }
    return this;
  }
}

const wanted = () => new Script().send({ type: "source", up: true }).send({ type: "want", wanted: true });
const playing = () => wanted().wait(20_000, true);

describe("connecting", () => {
  test("begins when someone looks and the camera delivers, in whichever order", () => {
    expect(wanted().effects).toEqual(["open"]);
    const other = new Script().send({ type: "want", wanted: true });
    expect(other.effects).toEqual([]);
    expect(other.send({ type: "source", up: true }).effects).toEqual(["open"]);
  });

  test("is live with the first picture, not with the connection", () => {
    const script = wanted().wait(1_000, false);
    expect(script.state.phase).toBe("connecting");
    expect(script.wait(500, true).state.phase).toBe("live");
  });

  test("is given up when no picture comes, and tried again later", () => {
    const script = wanted().wait(FIRST_PICTURE_WITHIN_MS, false);
    expect(script.state).toMatchObject({ phase: "waiting", problem: { code: "no_picture" } });
    expect(script.wait(2_000, false).state.phase).toBe("connecting");
    expect(script.effects).toEqual(["open", "close", "open"]);
  });

  test("tells a missing media path from a stream without pictures", () => {
    const script = wanted();
    script.connected = false;
    expect(script.wait(FIRST_PICTURE_WITHIN_MS, false).state.problem).toEqual({ code: "media" });
  });

  test("waits longer after each failure, and keeps the reason meanwhile", () => {
    const script = wanted();
    const delays: number[] = [];
    for (let attempt = 0; attempt < 7; attempt += 1) {
      script.send({ type: "failed", problem: { code: "media" } });
      delays.push(script.state.retryAtMs - script.nowMs);
      script.wait(31_000, false);
      script.state = { ...script.state, phase: "connecting" };
      expect(script.state.problem).toMatchObject({ code: expect.any(String) as string });
    }
    expect(delays).toEqual(delays.toSorted((a, b) => a - b));
    expect(Math.max(...delays)).toBeLessThanOrEqual(30_000);
  });
});

describe("a live picture", () => {
  test("that stands still is stalled, not live", () => {
    const script = playing().wait(STALLED_AFTER_MS, false);
    expect(script.state.phase).toBe("stalled");
    expect(script.wait(500, true).state.phase).toBe("live");
  });

  test("that stays frozen while the camera delivers is connected anew, soon", () => {
    const script = playing().wait(STALLED_AFTER_MS + RECONNECT_AFTER_STALL_MS, false);
    expect(script.state).toMatchObject({ phase: "waiting", problem: { code: "frozen" } });
    expect(script.state.retryAtMs - script.nowMs).toBeLessThanOrEqual(1_000);
  });

  test("is kept while the camera is away, and goes on when it returns", () => {
    const script = playing().send({ type: "source", up: false }).wait(60_000, false);
    expect(script.state.phase).toBe("stalled");
    expect(script.effects).toEqual(["open"]);
    script.send({ type: "source", up: true }).wait(1_000, true);
    expect(script.state.phase).toBe("live");
    expect(script.effects).toEqual(["open"]);
  });

  test("whose server ends it while the camera is away is connected again when the camera returns", () => {
    const script = playing().send({ type: "source", up: false });
    script.send({ type: "failed", problem: { code: "media" } });
    expect(script.state).toMatchObject({ phase: "idle", problem: null });
    expect(script.send({ type: "source", up: true }).effects).toEqual(["open", "close", "open"]);
  });

  test("that nobody looks at any more is closed at once", () => {
    const script = playing().send({ type: "want", wanted: false });
    expect(script.effects).toEqual(["open", "close"]);
    expect(script.wait(60_000, false).effects).toHaveLength(2);
  });
});

describe("waiting", () => {
  test("ends at once when the camera comes back", () => {
    const script = wanted().send({ type: "failed", problem: { code: "refused" } });
    script.send({ type: "source", up: false });
    expect(script.state.phase).toBe("idle");
    expect(script.send({ type: "source", up: true }).state).toMatchObject({ phase: "connecting", attempt: 1 });
  });

  test("is long for a stream that cannot be played here", () => {
    const script = wanted().send({ type: "failed", problem: { code: "codec" } });
    expect(script.state.retryAtMs - script.nowMs).toBe(30_000);
  });

  test("takes no notice of failures of a session that is over", () => {
    const script = wanted().send({ type: "failed", problem: { code: "media" } });
    const before = script.state;
    expect(script.send({ type: "failed", problem: { code: "media" } }).state).toBe(before);
  });
});

test("back-off doubles up to half a minute, and half of it is chance", () => {
  expect([1, 2, 3, 4, 5, 6, 7].map((attempt) => backOffMs(attempt, () => 1))).toEqual([
    1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000,
  ]);
  expect(backOffMs(3, () => 0)).toBe(2_000);
});
