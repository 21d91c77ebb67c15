/**
 * Keeps one camera's live view going: runs the state machine (machine.ts) on the real clock and
 * network. Tiles read it through useLive; it knows nothing of React.
 */
import { url } from "../api/client";
import { type Effect, INITIAL, type LiveEvent, type LiveState, step } from "./machine";
import { type ReceivedStats, WhepSession } from "./whep";

const TICK_MS = 500;

export interface LiveSnapshot {
  state: LiveState;
  /** What to show; the last one stays while a new session opens, so that its last picture does. */
  stream: MediaStream | null;
  /** bit/s of video over the last second or so */
  bitrate: number;
  received: ReceivedStats | null;
}

export class LivePlayer {
  private current: LiveSnapshot = { state: INITIAL, stream: null, bitrate: 0, received: null };
  private session: WhepSession | null = null;
  private readonly listeners = new Set<() => void>();
  private timer: ReturnType<typeof setInterval> | null = null;
  private measured = { atMs: 0, bytes: 0 };

  constructor(private readonly cameraId: string) {}

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly snapshot = (): LiveSnapshot => this.current;

  /** Someone looks at it, or no longer. */
  want(wanted: boolean): void {
    if (wanted && this.timer === null) {
      this.timer = setInterval(() => void this.tick(), TICK_MS);
      addEventListener("pagehide", this.leave);
      addEventListener("pageshow", this.comeBack);
    }
    if (!wanted && this.timer !== null) {
      clearInterval(this.timer);
      this.timer = null;
      removeEventListener("pagehide", this.leave);
      removeEventListener("pageshow", this.comeBack);
    }
    this.handle({ type: "want", wanted });
  }

  /** Whether the camera delivers something that can be watched here, and its newest picture's time. */
  setSource(up: boolean, newestMs: number | null): void {
    this.handle({ type: "source", up, newestMs });
  }

  private readonly leave = (): void => this.handle({ type: "want", wanted: false });
  private readonly comeBack = (): void => this.handle({ type: "want", wanted: true });

  private handle(event: LiveEvent): void {
    const { state, effect } = step(this.current.state, event, performance.now(), Math.random);
    if (effect !== null) this.run(effect, state);
    if (state !== this.current.state) this.publish({ state });
  }

  private run(effect: Effect, state: LiveState): void {
    const ended = this.session;
    this.session = null;
    if (effect === "close") ended?.close();
    if (!state.wanted) this.publish({ stream: null, bitrate: 0, received: null });
    if (effect !== "open") return;
    const session = new WhepSession(url.whep(this.cameraId), {
      onStream: (stream) => {
        if (this.session === session) this.publish({ stream });
      },
      onFailed: (problem) => {
        if (this.session === session) this.handle({ type: "failed", problem });
      },
    });
    this.session = session;
    this.measured = { atMs: 0, bytes: 0 };
    // The goodbye to a process that is gone may take its time: it must not hold up the new session.
    void session.open().finally(() => ended?.close());
  }

  private async tick(): Promise<void> {
    const session = this.session;
    const received = (await session?.stats()) ?? null;
    if (session !== this.session) return; // the answer of a session that has ended since
    if (received) this.measure(received);
    this.handle({
      type: "tick",
      frames: received?.framesDecoded ?? 0,
      heard: received?.heard ?? 0,
      connected: session?.connected ?? false,
      shown: !document.hidden,
    });
  }

  private measure(received: ReceivedStats): void {
    const atMs = performance.now();
    const elapsedMs = atMs - this.measured.atMs;
    if (elapsedMs < 1_000) return;
    const bits = (received.bytes - this.measured.bytes) * 8;
    const first = this.measured.atMs === 0;
    this.measured = { atMs, bytes: received.bytes };
    this.publish({ received, bitrate: first ? 0 : (bits / elapsedMs) * 1_000 });
  }

  private publish(change: Partial<LiveSnapshot>): void {
    this.current = { ...this.current, ...change };
    for (const listener of this.listeners) listener();
  }
}
