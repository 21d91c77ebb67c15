/**
 * One WHEP session (draft-ietf-wish-whep): offer, answer, media, DELETE.
 *
 * The server is ICE-lite and puts its candidates in the answer, so the offer is sent at once: the
 * checks that this browser then sends tell the server where it is. A session is used once.
 */
import { api, apiError, ApiError } from "../api/client";
import type { LiveStream } from "../api/types";
import type { LiveProblem } from "./backOff";
import { iceServersIn, knownIceServers, learnIceServers } from "./iceServers";
import type { LiveEvents, LiveSession, LiveView } from "./session";
import { sameSize, type TileSize, withSize } from "./tileSize";

export interface ReceivedStats {
  framesDecoded: number;
  framesDropped: number;
  packetsLost: number;
  /** bytes of video received so far */
  bytes: number;
  /** To the server and back, as the newest STUN check found it. */
  roundTripMs: number | null;
  /** Grows whenever anything comes from the server, be it the answer to a STUN check. */
  heard: number;
}

/**
 * Ask for receiver reference time reports (RFC 3611 §4.4), with which the browser knows each
 * picture's capture time and the app can show the latency.
 */
export function withReferenceTime(sdp: string): string {
  return sdp
    .split(/^(?=m=)/m)
    .map((section) => (section.startsWith("m=video") ? `${section}a=rtcp-fb:* rrtr\r\n` : section))
    .join("");
}

/** What an answer other than 201 means to the viewer. */
export function problemOf(error: unknown): LiveProblem {
  if (!(error instanceof ApiError)) return { code: "network" };
  const { reason } = error.problem;
  if (reason === "b_frames" || reason === "codec") return { code: reason };
  const wish = error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs };
  if (reason === "not_live") return { code: reason, ...wish };
  return { code: error.status >= 500 ? "unavailable" : "refused", detail: error.message, ...wish };
}

const ANSWER_WITHIN_MS = 8_000;
const GOODBYE_MS = 2_000;
/** What counts something received, by type of report; not every browser counts all of them. */
const HEARD: Partial<Record<RTCStatsType, readonly string[]>> = {
  "candidate-pair": ["bytesReceived", "responsesReceived", "requestsReceived"],
  "inbound-rtp": ["packetsReceived"],
};

function heardIn(report: RTCStats): number {
  const counters = report as unknown as Record<string, unknown>;
  return (HEARD[report.type] ?? []).reduce((sum, name) => sum + (Number(counters[name]) || 0), 0);
}

function roundTripIn(report: RTCStats): number | null {
  const { nominated, currentRoundTripTime } = report as RTCIceCandidatePairStats;
  const known = report.type === "candidate-pair" && nominated && currentRoundTripTime !== undefined;
  return known ? currentRoundTripTime * 1_000 : null;
}

/** From the peer connection, not from the network, whose time-outs are DOMExceptions too. */
function isMediaError(error: unknown): boolean {
  return error instanceof DOMException && error.name !== "TimeoutError";
}

function streamNamed(name: string | null): LiveStream {
  return name === "sub" || name === "compat" ? name : "main";
}

export class WhepSession implements LiveSession {
  private peer: RTCPeerConnection;
  private readonly stream = new MediaStream();
  private location: string | null = null;
  private closed = false;
  private shown: LiveStream | null = null;
  /** The size that the server was told last. */
  private told: TileSize | null;
  private changing = false;

  /**
   * iceServers: the STUN and TURN servers that the API names, for networks that let nothing else out.
   * size: of the tile; null: the server gives the stream that the address names, or main.
   */
  constructor(
    private readonly address: string,
    private readonly events: LiveEvents,
    iceServers: RTCIceServer[] = knownIceServers(),
    private size: TileSize | null = null,
  ) {
    this.told = size;
    this.peer = this.connection(iceServers);
  }

  private connection(iceServers: RTCIceServer[]): RTCPeerConnection {
    const peer = new RTCPeerConnection({ bundlePolicy: "max-bundle", iceServers });
    peer.addTransceiver("video", { direction: "recvonly" });
    peer.addTransceiver("audio", { direction: "recvonly" });
    peer.ontrack = ({ track, receiver }) => {
      // A guard wants now, not smooth: the server asks the same by its playout-delay.
      if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = 0;
      this.stream.addTrack(track);
      this.events.onStream(this.stream);
      // The server's farewell (DTLS close_notify) shows here, not in the connection's state.
      receiver.transport?.addEventListener("statechange", () => {
        if (receiver.transport?.state === "closed") this.fail({ code: "media" });
      });
    };
    peer.onconnectionstatechange = () => {
      // "disconnected" may heal, but a new session is quicker, and nothing comes meanwhile.
      const { connectionState } = peer;
      if (connectionState === "failed" || connectionState === "disconnected") this.fail({ code: "media" });
    };
    return peer;
  }

  async open(): Promise<void> {
    try {
      let response = await this.ask();
      if (learnIceServers(iceServersIn(response.headers.get("link"))) && !this.closed) {
        // The first session of a page that has such servers: with them it may find a path, without perhaps not.
        await this.end();
        this.peer.close();
        this.peer = this.connection(knownIceServers());
        response = await this.ask();
      }
      const sdp = await response.text();
      if (this.closed) {
        await this.end();
        this.peer.close();
        return;
      }
      await this.peer.setRemoteDescription({ type: "answer", sdp });
      this.show(streamNamed(response.headers.get("x-stream")));
      void this.follow();
    } catch (error) {
      this.fail(isMediaError(error) ? { code: "media" } : problemOf(error));
    }
  }

  /** Offer; the session's address is known with the answer. */
  private async ask(): Promise<Response> {
    await this.setOffer();
    this.told = this.size;
    const response = await fetch(withSize(this.address, this.size), {
      method: "POST",
      headers: { "content-type": "application/sdp", accept: "application/sdp" },
      body: this.peer.localDescription?.sdp ?? "",
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    });
    if (!response.ok) throw await apiError(response);
    const location = response.headers.get("location");
    if (location !== null) this.location = new URL(location, response.url).href;
    return response;
  }

  get view(): LiveView {
    return { protocol: "webrtc", stream: this.shown };
  }

  resize(size: TileSize): void {
    this.size = size;
    void this.follow();
  }

  /** Show that stream from its next key picture on. */
  async select(stream: LiveStream): Promise<void> {
    if (stream !== this.shown) await this.change({ stream });
  }

  /** Tell the server the newest size, one after the other. */
  private async follow(): Promise<void> {
    if (this.changing) return;
    this.changing = true;
    while (this.location !== null && this.size !== null && !sameSize(this.size, this.told)) {
      this.told = this.size;
      await this.change(this.size);
    }
    this.changing = false;
  }

  private async change(wish: TileSize | { stream: LiveStream }): Promise<void> {
    const { location } = this;
    if (location === null) return;
    try {
      this.show((await api.changeView(location, wish)).stream);
    } catch {
      // The picture stays as it is; a session that is gone shows by itself.
    }
  }

  private show(stream: LiveStream): void {
    if (this.closed) return;
    this.shown = stream;
    this.events.onView(this.view);
  }

  private async setOffer(): Promise<void> {
    const offer = await this.peer.createOffer();
    try {
      await this.peer.setLocalDescription({ type: "offer", sdp: withReferenceTime(offer.sdp ?? "") });
    } catch {
      // A browser that does not take changed offers plays all the same, without showing the latency.
      await this.peer.setLocalDescription(offer);
    }
  }

  get connected(): boolean {
    return this.peer.connectionState === "connected";
  }

  async stats(): Promise<ReceivedStats> {
    const total: ReceivedStats = { framesDecoded: 0, framesDropped: 0, packetsLost: 0, bytes: 0, roundTripMs: null, heard: 0 };
    if (this.closed) return total;
    for (const report of (await this.peer.getStats()).values() as IterableIterator<RTCInboundRtpStreamStats>) {
      total.heard += heardIn(report);
      total.roundTripMs = roundTripIn(report) ?? total.roundTripMs;
      if (report.type !== "inbound-rtp" || report.kind !== "video") continue;
      total.framesDecoded += report.framesDecoded ?? 0;
      total.framesDropped += report.framesDropped ?? 0;
      total.packetsLost += report.packetsLost ?? 0;
      total.bytes += report.bytesReceived ?? 0;
    }
    return total;
  }

  /** Stop receiving and tell the server; safe to call at any time, also while it opens. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    void this.end().finally(() => this.peer.close());
  }

  /** Tell the server before DTLS does: a session that it has found ended is one that it no longer knows. */
  private async end(): Promise<void> {
    const { location } = this;
    if (location === null) return;
    this.location = null;
    // keepalive: it must also arrive when the page is being left.
    const options = { method: "DELETE", keepalive: true, signal: AbortSignal.timeout(GOODBYE_MS) };
    await fetch(location, options).catch(() => undefined);
  }

  private fail(problem: LiveProblem): void {
    if (!this.closed) this.events.onFailed(problem);
  }
}
