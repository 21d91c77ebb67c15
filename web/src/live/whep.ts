/**
 * One WHEP session (draft-ietf-wish-whep): offer, answer, media, DELETE.
 *
 * The server is ICE-lite and puts its candidates in the answer, so the offer is sent at once: the
 * checks that this browser then sends tell the server where it is. A session is used once.
 */
import { apiError, ApiError } from "../api/client";
import type { LiveProblem } from "./backOff";

export interface ReceivedStats {
  framesDecoded: number;
  framesDropped: number;
  packetsLost: number;
  /** bytes of video received so far */
  bytes: number;
  /** Grows whenever anything comes from the server, be it the answer to a STUN check. */
  heard: number;
}

export interface WhepEvents {
  onStream: (stream: MediaStream) => void;
  onFailed: (problem: LiveProblem) => void;
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

/** From the peer connection, not from the network, whose time-outs are DOMExceptions too. */
function isMediaError(error: unknown): boolean {
  return error instanceof DOMException && error.name !== "TimeoutError";
}

export class WhepSession {
  private readonly peer: RTCPeerConnection;
  private readonly stream = new MediaStream();
  private location: string | null = null;
  private closed = false;

  constructor(
    private readonly address: string,
    private readonly events: WhepEvents,
  ) {
    this.peer = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    this.peer.addTransceiver("video", { direction: "recvonly" });
    this.peer.addTransceiver("audio", { direction: "recvonly" });
    this.peer.ontrack = ({ track, receiver }) => {
      // A guard wants now, not smooth: the server asks the same by its playout-delay.
      if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = 0;
      this.stream.addTrack(track);
      this.events.onStream(this.stream);
      // The server's farewell (DTLS close_notify) shows here, not in the connection's state.
      receiver.transport?.addEventListener("statechange", () => {
        if (receiver.transport?.state === "closed") this.fail({ code: "media" });
      });
    };
    this.peer.onconnectionstatechange = () => {
      // "disconnected" may heal, but a new session is quicker, and nothing comes meanwhile.
      const { connectionState } = this.peer;
      if (connectionState === "failed" || connectionState === "disconnected") this.fail({ code: "media" });
    };
  }

  async open(): Promise<void> {
    try {
      await this.setOffer();
      const response = await fetch(this.address, {
        method: "POST",
        headers: { "content-type": "application/sdp", accept: "application/sdp" },
        body: this.peer.localDescription?.sdp ?? "",
        signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
      });
      if (!response.ok) throw await apiError(response);
      const location = response.headers.get("location");
      if (location !== null) this.location = new URL(location, response.url).href;
      const sdp = await response.text();
      if (this.closed) await this.end();
      else await this.peer.setRemoteDescription({ type: "answer", sdp });
    } catch (error) {
      this.fail(isMediaError(error) ? { code: "media" } : problemOf(error));
    }
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
    const total: ReceivedStats = { framesDecoded: 0, framesDropped: 0, packetsLost: 0, bytes: 0, heard: 0 };
    if (this.closed) return total;
    for (const report of (await this.peer.getStats()).values() as IterableIterator<RTCInboundRtpStreamStats>) {
      total.heard += heardIn(report);
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
