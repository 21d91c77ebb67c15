/**
 * Watching what WebRTC cannot carry as it is: asks the server which ways there are, and takes the first
 * that this browser can go.
 */
import { api } from "../api/client";
import type { IceServer, LiveOption, LiveOptions } from "../api/types";
import type { LiveProblem } from "./backOff";
import type { ChosenProtocol } from "./chosenProtocol";
import { learnIceServers } from "./iceServers";
import { MediaSourceSession } from "./mediaSource";
import type { LiveEvents, LiveSession, LiveView } from "./session";
import { sameSize, type TileSize } from "./tileSize";
import type { Ways } from "./ways";
import { hasWebTransport, WebTransportSession } from "./webTransport";
import { problemOf, type ReceivedStats, WhepSession } from "./whep";

/** Asked by a codec string of its most usual profile. */
const HEVC = 'video/mp4; codecs="hvc1.1.6.L123.B0"';
const NOTHING: ReceivedStats = {
  framesDecoded: 0,
  framesDropped: 0,
  packetsLost: 0,
  bytes: 0,
  roundTripMs: null,
  heard: 0,
};

/** What this browser plays beyond what every browser does. */
export function supported(isTypeSupported: (mime: string) => boolean): string[] {
  return isTypeSupported(HEVC) ? ["h265"] : [];
}

/** The first way that can be gone here. */
export function choose(options: readonly LiveOption[], isTypeSupported: (mime: string) => boolean): LiveOption | null {
  const usable = (option: LiveOption): boolean => {
    if (!option.playable || option.url === null) return false;
    if (option.protocol === "webrtc") return true;
    return option.protocol === "websocket" && option.mime_type !== null && isTypeSupported(option.mime_type);
  };
  return options.find(usable) ?? null;
}

/** Why none can: what stands against the best of them. */
export function obstacle(options: readonly LiveOption[]): LiveProblem {
  const reason = options.find((option) => option.protocol === "webrtc")?.reason;
  if (reason === "b_frames" || reason === "codec" || reason === "not_live") return { code: reason };
  return { code: "unavailable" };
}

/** The way that the user has chosen, or why it cannot be gone. */
export function insist(options: readonly LiveOption[], protocol: ChosenProtocol, able: boolean): LiveOption | LiveProblem {
  const offered = options.filter((option) => option.protocol === protocol);
  if (offered.length === 0) return { code: "not_offered" };
  if (!able) return { code: "no_webtransport" };
  const option = offered.find(({ playable, url }) => playable && url !== null);
  if (option !== undefined) return option;
  const reason = offered[0]?.reason;
  if (reason === "not_live") return { code: "not_live" };
  return { code: reason === "codec" || reason === "unsupported" ? "codec" : "unavailable" };
}

function isTypeSupported(mime: string): boolean {
  return typeof MediaSource !== "undefined" && MediaSource.isTypeSupported(mime);
}

function asConfigured({ urls, username, credential }: IceServer): RTCIceServer {
  return username != null && credential != null ? { urls, username, credential } : { urls };
}

function sessionOf({ protocol, url, certificate_hashes: hashes = [] }: LiveOption, events: LiveEvents): Inner {
  const address = url ?? "";
  if (protocol === "webtransport") return new WebTransportSession(address, hashes, events);
  return protocol === "webrtc" ? new WhepSession(address, events) : new MediaSourceSession(address, events);
}

type Inner = WhepSession | MediaSourceSession | WebTransportSession;

export class LadderSession implements LiveSession {
  private inner: Inner | null = null;
  private option: LiveOption | null = null;
  private closed = false;
  /** The size that the stream was chosen for. */
  private asked: TileSize | null = null;
  private asking = false;

  /**
   * ways: those that were left are passed over. size: of the tile; null: it shows the main stream. only: what the user
   * has chosen, instead of what is best.
   */
  constructor(
    private readonly cameraId: string,
    private readonly events: LiveEvents,
    private readonly ways: Ways,
    private size: TileSize | null,
    private readonly only: ChosenProtocol | null = null,
  ) {}

  async open(): Promise<void> {
    let found: LiveOptions;
    try {
      found = await this.ask();
    } catch (error) {
      if (!this.closed) this.events.onFailed(problemOf(error));
      return;
    }
    if (this.closed) return;
    if (this.only !== null) {
      const option = insist(found.options, this.only, hasWebTransport());
      if ("code" in option) this.events.onFailed(option);
      else await this.begin(option);
      return;
    }
    const option = choose(found.options.filter((each) => !this.ways.isLeft(each)), isTypeSupported);
    if (option?.url == null) {
      // Whatever there is has failed: from the top again, after a while.
      const exhausted = choose(found.options, isTypeSupported) !== null;
      this.ways.forget();
      this.events.onFailed(exhausted ? { code: "media" } : obstacle(found.options));
      return;
    }
    await this.begin(option);
  }

  private async begin(option: LiveOption): Promise<void> {
    this.option = option;
    this.inner = sessionOf(option, this.events);
    await this.inner.open();
    void this.follow();
  }

  private async ask(): Promise<LiveOptions> {
    this.asked = this.size;
    const found = await api.liveOptions(this.cameraId, supported(isTypeSupported), this.size);
    learnIceServers(found.ice_servers.map(asConfigured));
    return found;
  }

  get view(): LiveView | null {
    if (this.inner === null) return null;
    const { protocol, stream } = this.inner.view;
    return { protocol, stream: stream ?? this.option?.stream ?? null };
  }

  resize(size: TileSize): void {
    this.size = size;
    void this.follow();
  }

  /** Ask for the newest size's stream, one size after the other; the protocol stays, and so does the session. */
  private async follow(): Promise<void> {
    if (this.asking) return;
    this.asking = true;
    while (this.inner !== null && !this.closed && !sameSize(this.size, this.asked)) {
      await this.choose(this.inner);
    }
    this.asking = false;
  }

  private async choose(inner: Inner): Promise<void> {
    try {
      const { options } = await this.ask();
      const same = options.filter(({ protocol }) => protocol === inner.view.protocol);
      const option = this.only === null ? choose(same, isTypeSupported) : same.find(({ playable }) => playable) ?? null;
      if (option !== null && !this.closed) await inner.select(option.stream);
    } catch {
      // The picture stays as it is.
    }
  }

  get connected(): boolean {
    return this.inner?.connected ?? false;
  }

  stats(): Promise<ReceivedStats> {
    return this.inner?.stats() ?? Promise.resolve(NOTHING);
  }

  close(): void {
    this.closed = true;
    this.inner?.close();
  }
}
