import { describe, expect, test } from "vitest";

import {
  type Effect,
  FIRST_PICTURE_WITHIN_MS,
  INITIAL,
  type LiveEvent,
  type LiveState,
  PLAYED_WELL_MS,
  RESUMED_WITHIN_MS,
  STALLED_AFTER_MS,
  step,
} from "./machine";
import { DELIVERS_AFTER_MS, SERVER_GONE_AFTER_MS, SILENT_AFTER_MS } from "./watchdog";

const TICK_MS = 250;
/** How often a browser asks a server that sends nothing whether it is there. */
const STUN_EVERY_MS = 2_500;

/** What comes while time passes. */
interface World {
  pictures: boolean;
  /** The server's process lives, and answers when it is asked whether it is there. */
  server: boolean;
  shown: boolean;
}

/** Plays events against a clock that only moves when told to. */
class Script {
  state: LiveState = INITIAL;
  nowMs = 1_000_000;
  effects: Effect[] = [];
  connected = true;
  random = 1;
  private frames = 0;
  private heard = 0;

  send(event: LiveEvent): this {
    const { state, effect } = step(this.state, event, this.nowMs, () => this.random);
    this.state = state;
    if (effect === "open") this.frames = this.heard = 0;
    if (effect !== null) this.effects.push(effect);
    return this;
  }

  source(up: boolean, newestMs: number | null = null): this {
    return this.send({ type: "source", up, newestMs });
  }

  wait(ms: number, { pictures, server, shown }: World): this {
    for (let passed = 0; passed < ms; passed += TICK_MS) {
      this.nowMs += TICK_MS;
      if (pictures) this.frames += 6;
      if (pictures || (server && this.nowMs % STUN_EVERY_MS === 0)) this.heard += 1;
      const { frames, heard, connected } = this;
      this.send({ type: "tick", frames, heard, connected, shown });
    }
    return this;
  }

  plays = (ms: number) => this.wait(ms, { pictures: true, server: true, shown: true });
  /** The camera is silent; the server is there. */
  stands = (ms: number) => this.wait(ms, { pictures: false, server: true, shown: true });
  /** The server's process is gone. */
  dead = (ms: number) => this.wait(ms, { pictures: false, server: false, shown: true });
}

const wanted = () => new Script().source(true).send({ type: "want", wanted: true });
const playing = () => wanted().plays(20_000);

describe("connecting", () => {
  test("begins when someone looks and the camera delivers, in whichever order", () => {
    expect(wanted().effects).toEqual(["open"]);
    const other = new Script().send({ type: "want", wanted: true });
    expect(other.effects).toEqual([]);
    expect(other.source(true).effects).toEqual(["open"]);
  });

  test("is live with the first picture, not with the connection", () => {
    const script = wanted().stands(1_000);
    expect(script.state.phase).toBe("connecting");
    expect(script.plays(TICK_MS).state.phase).toBe("live");
  });

  test("is given up when no picture comes, and tried again later", () => {
    const script = wanted().stands(FIRST_PICTURE_WITHIN_MS);
    expect(script.state).toMatchObject({ phase: "waiting", problem: { code: "no_picture" } });
    expect(script.stands(2_000).state.phase).toBe("connecting");
    expect(script.effects).toEqual(["open", "close", "open"]);
  });

  test("tells a missing media path from a stream without pictures", () => {
    const script = wanted();
    script.connected = false;
    expect(script.dead(FIRST_PICTURE_WITHIN_MS).state.problem).toEqual({ code: "media" });
  });

  test("waits longer after each failure, at most 5 s, and keeps the reason meanwhile", () => {
    const script = wanted();
    const delays: number[] = [];
    for (let attempt = 0; attempt < 6; attempt += 1) {
      script.send({ type: "failed", problem: { code: "network" } });
      delays.push(script.state.retryAtMs - script.nowMs);
      expect(script.state.problem).toEqual({ code: "network" });
      script.dead(5_000);
    }
    expect(delays).toEqual([1_000, 2_000, 4_000, 5_000, 5_000, 5_000]);
  });

  test("does not begin again before the server wants it to", () => {
    const script = wanted().send({ type: "failed", problem: { code: "unavailable", retryAfterMs: 3_000 } });
    expect(script.state.retryAtMs - script.nowMs).toBeGreaterThanOrEqual(3_000);
  });
});

describe("a playing view", () => {
  test("whose server is gone is connected anew at once, the last picture staying", () => {
    const script = playing().dead(SERVER_GONE_AFTER_MS);
    expect(script.effects).toEqual(["open", "open"]);
    expect(script.state).toMatchObject({ phase: "connecting", attempt: 1, silentMs: SERVER_GONE_AFTER_MS });
    expect(script.plays(TICK_MS).state).toMatchObject({ phase: "live", problem: null, silentMs: 0 });
  });

  test("that the server ends is connected anew at once", () => {
    const script = playing().send({ type: "failed", problem: { code: "media" } });
    expect(script.effects).toEqual(["open", "open"]);
  });

  test("that is lost again and again waits between its attempts", () => {
    const script = playing();
    for (let lost = 0; lost < 6; lost += 1) {
      script.send({ type: "failed", problem: { code: "media" } }).dead(5_000).plays(1_000);
    }
    expect(script.effects.filter((effect) => effect === "open").length).toBeLessThanOrEqual(8);
    script.plays(PLAYED_WELL_MS);
    expect(script.send({ type: "failed", problem: { code: "media" } }).state.phase).toBe("connecting");
  });

  test("is tried again sooner than one that never played, should no picture come", () => {
    const script = playing().dead(SERVER_GONE_AFTER_MS).dead(RESUMED_WITHIN_MS);
    expect(script.state.phase).toBe("waiting");
    expect(script.dead(1_000).state).toMatchObject({ phase: "connecting", attempt: 2 });
  });

  test("whose camera is silent is stalled, not live, and not connected anew", () => {
    const script = playing().stands(STALLED_AFTER_MS);
    expect(script.state.phase).toBe("stalled");
    expect(script.stands(60_000).effects).toEqual(["open"]);
    expect(script.plays(TICK_MS).state.phase).toBe("live");
  });

  test("that shows nothing while the camera delivers to the system is connected anew", () => {
    const script = playing();
    let newestMs = 1_000;
    for (let poll = 0; poll <= DELIVERS_AFTER_MS; poll += 2_000) {
      script.source(true, newestMs).stands(2_000);
      newestMs += 2_000;
    }
    expect(script.source(true, newestMs).stands(TICK_MS).effects).toEqual(["open", "open"]);
  });

  test("is kept while the camera is away, and goes on when it returns", () => {
    const script = playing().source(false).stands(60_000);
    expect(script.state.phase).toBe("stalled");
    expect(script.effects).toEqual(["open"]);
    script.source(true).plays(1_000);
    expect(script.state.phase).toBe("live");
    expect(script.effects).toEqual(["open"]);
  });

  test("that shows nothing when the camera is back is connected anew", () => {
    const script = playing().source(false).stands(60_000).source(true);
    expect(script.stands(SILENT_AFTER_MS - TICK_MS).effects).toEqual(["open"]);
    expect(script.stands(TICK_MS).effects).toEqual(["open", "open"]);
  });

  test("whose server ends it while the camera is away is connected again when the camera returns", () => {
    const script = playing().source(false);
    script.send({ type: "failed", problem: { code: "media" } });
    expect(script.state).toMatchObject({ phase: "idle", problem: null });
    expect(script.source(true).effects).toEqual(["open", "close", "open"]);
  });

  test("on a hidden page, where nothing is decoded, is left alone; back in sight it has its time again", () => {
    const script = playing().wait(50_000, { pictures: false, server: false, shown: false });
    expect(script.effects).toEqual(["open"]);
    expect(script.dead(SERVER_GONE_AFTER_MS - TICK_MS).effects).toEqual(["open"]);
    expect(script.dead(TICK_MS).effects).toEqual(["open", "open"]);
  });

  test("that nobody looks at any more is closed at once", () => {
    const script = playing().send({ type: "want", wanted: false });
    expect(script.effects).toEqual(["open", "close"]);
    expect(script.stands(60_000).effects).toHaveLength(2);
  });
});

describe("waiting", () => {
  test("ends at once when the camera comes back", () => {
    const script = wanted().send({ type: "failed", problem: { code: "refused" } });
    script.source(false);
    expect(script.state.phase).toBe("idle");
    expect(script.source(true).state).toMatchObject({ phase: "connecting", attempt: 1 });
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
