/** What /api/v1 answers, as JSON gives it. Times are RFC 3339 texts in UTC. */

export type CameraState = "connecting" | "live" | "failed" | "stopped";
export type RecordMode = "continuous" | "off";
export type Transport = "tcp" | "udp";

export interface WebRtcPlayable {
  playable: boolean;
  reason: "b_frames" | "codec" | null;
  detail: string | null;
}

export interface Camera {
  id: string;
  name: string;
  /** The address without credentials. */
  source: string;
  transport: Transport;
  record: RecordMode;
  /** A number and a unit: `30d`, `12h`. */
  retention: string;
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
  recording: boolean;
  /** Why recording fails, in the server's words; null when nothing is wrong. */
  recording_error: string | null;
  viewers: number;
  webrtc: WebRtcPlayable;
}

export interface CameraList {
  cameras: Camera[];
}

export interface NewCamera {
  id: string;
  name: string;
  source: string;
  transport: Transport;
  record: RecordMode;
  retention: string;
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

export interface Session {
  required: boolean;
  authenticated: boolean;
  version: string;
}

export type ProcessRole = "supervisor" | "media" | "stream" | "api" | "keeper" | "nats";
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
