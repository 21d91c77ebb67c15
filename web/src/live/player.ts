/**
 * Keeps one camera's live view going: runs the state machine (machine.ts) on the real clock and
 * network. Tiles read it through useLive; it knows nothing of React.
 */
import { url } from "../api/client";
import { type Effect, INITIAL, type LiveEvent, type LiveState, step } from "./machine";
import { LadderSession } from "./ladder";
import { chosenProtocol } from "./chosenProtocol";
import { isUnsupported, type LiveProblem } from "./backOff";
import type { LiveEvents, LiveMedia, LiveSession, LiveView } from "./session";
import { sameSize, type TileSize } from "./tileSize";
import { Ways } from "./ways";
import { type ReceivedStats, WhepSession } from "./whep";

const TICK_MS = 500;

export interface LiveSnapshot {
  state: LiveState;
  /** What to show; the last one stays while a new session opens, so that its last picture does. */
  stream: LiveMedia | null;
  /** What that is, and how it comes; null until it is known. */
  view: LiveView | null;
  /** bit/s of video over the last second or so */
  bitrate: number;
  received: ReceivedStats | null;
}

export class LivePlayer {
  private current: LiveSnapshot = { state: INITIAL, stream: null, view: null, bitrate: 0, received: null };
  private session: LiveSession | null = null;
  private overWebRtc = true;
  private size: TileSize | null = null;
  private readonly ways = new Ways();
  private readonly listeners = new Set<() => void>();
  private timer: ReturnType<typeof setInterval> | null = null;
  private measured = { atMs: 0, bytes: 0 };

  /** only: the way to watch that the user has chosen; null: the best. */
  constructor(
    private readonly cameraId: string,
    private readonly only = chosenProtocol(),
  ) {}

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

  /**
   * Whether the camera delivers, its newest picture's time, and whether WebRTC carries the stream as it is: then
   * nobody need be asked for another way.
   */
  setSource(up: boolean, newestMs: number | null, overWebRtc = true): void {
    this.overWebRtc = overWebRtc;
    this.handle({ type: "source", up, newestMs });
  }

  /** The tile's size; null where it does not matter, since the camera has one stream alone. */
  resize(size: TileSize | null): void {
    if (sameSize(size, this.size)) return;
    this.size = size;
    if (size !== null) this.session?.resize(size);
  }

  private readonly leave = (): void => this.handle({ type: "want", wanted: false });
  private readonly comeBack = (): void => this.handle({ type: "want", wanted: true });

  private handle(event: LiveEvent): void {
    const before = this.current.state;
    const { state, effect } = step(before, event, performance.now(), Math.random);
    this.judge(event, before, state, effect);
    if (effect !== null) this.run(effect, state);
    if (state !== this.current.state) this.publish({ state });
  }

  /** What this tells of the way that the session takes. */
  private judge(event: LiveEvent, before: LiveState, after: LiveState, effect: Effect): void {
    const way = this.session?.view ?? null;
    if (way !== null && before.phase !== "live" && after.phase === "live") this.ways.played(way);
    const gaveUp = (event.type === "tick" || event.type === "failed") && before.phase === "connecting" && effect !== null;
    if (way !== null && gaveUp && after.problem !== null) this.ways.failed(way, after.problem.code);
    // Afresh: WebRTC has its chance again.
    if (effect === "open" && after.attempt === 1 && after.lastPictureMs === null) this.ways.forget();
  }

  private run(effect: Effect, state: LiveState): void {
    const ended = this.session;
    this.session = null;
    if (effect === "close") ended?.close();
    if (!state.wanted) this.publish({ stream: null, view: null, bitrate: 0, received: null });
    if (effect === "open") this.begin(ended);
  }

  private begin(ended: LiveSession | null): void {
    const events: LiveEvents = {
      onStream: (stream) => {
        if (this.session === session) this.publish({ stream });
      },
      onView: (view) => {
        if (this.session === session) this.publish({ view });
      },
      onFailed: (problem) => {
        if (this.session === session) this.failed(session, problem);
      },
    };
    const session: LiveSession =
      this.overWebRtc && !this.ways.anyLeft && this.only === null
        ? new WhepSession(url.whep(this.cameraId), events, undefined, this.size)
        : new LadderSession(this.cameraId, events, this.ways, this.size, this.only);
    this.session = session;
    this.measured = { atMs: 0, bytes: 0 };
    // The goodbye to a process that is gone may take its time: it must not hold up the new session.
    void session.open().finally(() => ended?.close());
  }

  private failed(session: LiveSession, problem: LiveProblem): void {
    const { view } = session;
    if (isUnsupported(problem) && view !== null && this.ways.failed(view, problem.code)) {
      // It will not be otherwise in a while: the next way is taken at once.
      this.begin(session);
    } else this.handle({ type: "failed", problem });
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
