/** What /api/v1 answers, as JSON gives it. Times are RFC 3339 texts in UTC. */

export type CameraState = "connecting" | "live" | "failed" | "stopped";
export type RecordMode = "continuous" | "events" | "schedule" | "off";
export type RecordingState = "recording" | "waiting_event" | "not_scheduled" | "off" | "failed";
export type Weekday = "mon" | "tue" | "wed" | "thu" | "fri" | "sat" | "sun";
export type Transport = "tcp" | "udp";

export interface WebRtcPlayable {
  playable: boolean;
  reason: "b_frames" | "codec" | null;
  detail: string | null;
}

export interface EventRecording {
  kinds: string[];
  /** A number and a unit: `10s`. */
  pre_roll: string;
  post_roll: string;
}

export interface ScheduleEntry {
  days: Weekday[];
  /** HH:MM, local; an `end` not after it is of the next day. */
  start: string;
  end: string;
  record: "continuous" | "events";
}

export interface Schedule {
  /** null: that of the site. */
  time_zone: string | null;
  entries: ScheduleEntry[];
}

/** null: no limit. Durations as `90d`, the size as `50GiB`. */
export interface RetentionLimits {
  events: string | null;
  minimum: string | null;
  maximum: string | null;
  size: string | null;
}

/** A sub stream now; `stopped` while nobody watches it, with what was known of it last. */
export interface SubStream {
  state: CameraState;
  reason: string | null;
  reason_code: string | null;
  codec: string | null;
  width: number | null;
  height: number | null;
  fps: number | null;
  /** bit/s */
  bitrate: number | null;
}

export interface Camera {
  id: string;
  name: string;
  /** The address without credentials. */
  source: string;
  /** Likewise; null for a camera without a sub stream. */
  sub_source: string | null;
  transport: Transport;
  record: RecordMode;
  /** A number and a unit: `30d`, `12h`. */
  retention: string;
  events: EventRecording;
  schedule: Schedule | null;
  retention_class: string | null;
  limits: RetentionLimits;
  managed_by: "file" | "api";
  state: CameraState;
  /** For a person, in English; `reason_code` is what the app translates. */
  reason: string | null;
  reason_code: string | null;
  codec: string | null;
  width: number | null;
  height: number | null;
  fps: number | null;
  /** bit/s */
  bitrate: number | null;
  audio: string | null;
  last_frame_at: string | null;
  /** null for a camera without a sub stream. */
  sub: SubStream | null;
  recording: boolean;
  recording_state: RecordingState;
  /** Why recording fails, in the server's words; null when nothing is wrong. */
  recording_error: string | null;
  viewers: number;
  webrtc: WebRtcPlayable;
}

export type LiveStream = "main" | "sub" | "compat";

/** One way to watch a camera; `url` may hold a token that is good for a minute. */
export interface LiveOption {
  protocol: "webrtc" | "websocket" | "hls" | "rtsp" | "srt" | "webtransport";
  stream: LiveStream;
  url: string | null;
  playable: boolean;
  reason: string | null;
  detail: string;
  mime_type: string | null;
  transcoded: boolean;
  /** Of WebTransport's server: SHA-256 in base64. */
  certificate_hashes?: string[];
}

/** The ways to watch a camera now, best first. */
export interface LiveOptions {
  camera_id: string;
  stream: LiveStream;
  options: LiveOption[];
  ice_servers: IceServer[];
}

export interface IceServer {
  urls: string[];
  username?: string | null;
  credential?: string | null;
}

export interface CameraList {
  cameras: Camera[];
}

export interface NewCamera {
  id: string;
  name: string;
  source: string;
  sub_source: string | null;
  transport: Transport;
  record: RecordMode;
  retention: string;
  events: EventRecording;
  schedule: Schedule | null;
  retention_class: string | null;
  limits: RetentionLimits;
}

export type CameraPatch = Partial<Omit<NewCamera, "id">>;

export interface SpanJson {
  start: string;
  end: string;
}

export interface SegmentJson extends SpanJson {
  id: string;
  bytes: number;
  video: string | null;
  audio: string | null;
  closed: boolean;
}

export interface GapJson {
  start: string;
  /** null while it lasts */
  end: string | null;
  reason: string;
}

export interface RecordingsJson {
  spans: SpanJson[];
  segments: SegmentJson[];
  gaps: GapJson[];
}

export interface CoverageJson {
  cameras: {
    id: string;
    spans: SpanJson[];
    event_spans: SpanJson[];
    locked: SpanJson[];
  }[];
}

export interface EventJson {
  id: string;
  at: string;
  kind: string;
  camera: string | null;
  text: string;
}

export interface EventListJson {
  events: EventJson[];
}

export interface SystemJson {
  site?: { name: string; time_zone: string };
}

export interface Session {
  required: boolean;
  authenticated: boolean;
  version: string;
}

export type ProcessRole = "supervisor" | "media" | "stream" | "api" | "keeper" | "render" | "transcode" | "nats" | "quic" | "srt";
export type ProcessState = "starting" | "running" | "stopping" | "waiting" | "stopped";

/** One process of the system, as its supervisor sees it. */
export interface Process {
  role: ProcessRole;
  /** Its name, such as media-0; unique. */
  worker: string;
  /** 0 while it is not running */
  pid: number;
  state: ProcessState;
  /** Cameras that it pulls. */
  cameras: number;
  /** Live viewers that it serves. */
  viewers: number;
  /** Of one core. */
  cpu_percent: number;
  memory_bytes: number;
  /** How late its event loop is; null where it has none or is not known. */
  loop_lag_ms: number | null;
  /** Since the system was started. */
  restarts: number;
  uptime_s: number;
  /** For a person, in English; empty when there is nothing to say. */
  detail: string;
}

export interface ProcessList {
  processes: Process[];
}

export interface RestartAccepted {
  /** The processes that are being restarted. */
  workers: string[];
}

/** RFC 9457, with the fields that were wrong and, where there are several, a slug of the reason. */
export interface Problem {
  reason?: string;
  type?: string;
  title?: string;
  status?: number;
  detail?: string;
  errors?: { path: string; message: string }[];
}
