/** The camera form's values, their checks and what is sent. Pure. */
import type { Camera, CameraPatch, NewCamera, RecordMode, Transport } from "../api/types";

export const RETENTION_UNITS = ["h", "d"] as const;
export type RetentionUnit = (typeof RETENTION_UNITS)[number];

export interface CameraForm {
  id: string;
  name: string;
  source: string;
  transport: Transport;
  record: boolean;
  retention: number | string;
  retentionUnit: RetentionUnit;
}

export const NEW_CAMERA: CameraForm = {
  id: "",
  name: "",
  source: "",
  transport: "tcp",
  record: true,
  retention: 30,
  retentionUnit: "d",
};

const HOURS: Record<string, number> = { ms: 1 / 3_600_000, s: 1 / 3600, min: 1 / 60, h: 1, d: 24 };
const ID = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** An id for a name: `Portão nº 2` → `portao-no-2`. */
export function slug(name: string): string {
  return name
    .normalize("NFKD")
    .replaceAll(/\p{M}/gu, "")
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .slice(0, 63)
    .replaceAll(/^-+|-+$/g, "");
}

function retentionHours(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]+)$/i.exec(text);
  return match ? Number(match[1]) * (HOURS[match[2] ?? ""] ?? 0) : 0;
}

/** `30d` as milliseconds. */
export function retentionMs(text: string): number {
  return retentionHours(text) * 3_600_000;
}

/** `30d` → 30 days; `90min` → 1.5 hours. */
export function readRetention(text: string): { retention: number; retentionUnit: RetentionUnit } {
  const hours = retentionHours(text);
  const wholeDays = hours >= 24 && hours % 24 === 0;
  return wholeDays ? { retention: hours / 24, retentionUnit: "d" } : { retention: hours, retentionUnit: "h" };
}

export function formOf(camera: Camera): CameraForm {
  const { id, name, source, transport } = camera;
  return { id, name, source, transport, record: camera.record === "continuous", ...readRetention(camera.retention) };
}

/** Which message of the catalog (`form.error.<key>`) a field gets; only what can be known here. */
export type FieldError = "id" | "name" | "source" | "retention";

export function check(form: CameraForm): Partial<Record<keyof CameraForm, FieldError>> {
  const errors: Partial<Record<keyof CameraForm, FieldError>> = {};
  if (!ID.test(form.id)) errors.id = "id";
  if (form.name.trim() === "") errors.name = "name";
  if (!/^rtsp:\/\/[^/\s]/i.test(form.source.trim())) errors.source = "source";
  if (!(Number(form.retention) > 0)) errors.retention = "retention";
  return errors;
}

function sent(form: CameraForm): NewCamera {
  const record: RecordMode = form.record ? "continuous" : "off";
  return {
    id: form.id,
    name: form.name.trim(),
    source: form.source.trim(),
    transport: form.transport,
    record,
    retention: `${form.retention}${form.retentionUnit}`,
  };
}

export function newCamera(form: CameraForm): NewCamera {
  return sent(form);
}

/** Only what differs from how the form was opened; an untouched source keeps its stored password. */
export function patchOf(before: CameraForm, after: CameraForm): CameraPatch {
  const { id: _, ...old } = sent(before);
  const { id: __, ...wanted } = sent(after);
  return Object.fromEntries(
    Object.entries(wanted).filter(([key, value]) => old[key as keyof CameraPatch] !== value),
  );
}
