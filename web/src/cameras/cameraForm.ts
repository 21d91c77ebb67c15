/** The camera form's values, their checks and what is sent. Pure. */
import type { Camera, CameraPatch, NewCamera, RecordMode, Transport } from "../api/types";
import { isComplete, NEW_ENTRY, type ScheduleForm, scheduleForm, sentSchedule } from "./schedule";

export const RETENTION_UNITS = ["h", "d"] as const;
export type RetentionUnit = (typeof RETENTION_UNITS)[number];
export const RECORD_MODES = ["continuous", "events", "schedule", "off"] as const satisfies readonly RecordMode[];

/** A number field; empty where nothing is written. */
type Amount = number | string;

export interface CameraForm {
  id: string;
  name: string;
  source: string;
  /** Empty: it has no sub stream. */
  subSource: string;
  transport: Transport;
  record: RecordMode;
  eventKinds: string[];
  preRollS: Amount;
  postRollS: Amount;
  schedule: ScheduleForm;
  /** It has a schedule, whether that is in use or not. */
  scheduled: boolean;
  retention: Amount;
  retentionUnit: RetentionUnit;
  retentionClass: string;
  /** In days; empty: no limit. */
  limitEvents: Amount;
  limitMinimum: Amount;
  limitMaximum: Amount;
  /** In GiB; empty: no limit. */
  limitSize: Amount;
}

export const NEW_CAMERA: CameraForm = {
  id: "",
  name: "",
  source: "",
  subSource: "",
  transport: "tcp",
  record: "continuous",
  eventKinds: ["motion", "alarm"],
  preRollS: 10,
  postRollS: 30,
  schedule: { timeZone: "", entries: [NEW_ENTRY] },
  scheduled: false,
  retention: 30,
  retentionUnit: "d",
  retentionClass: "",
  limitEvents: "",
  limitMinimum: "",
  limitMaximum: "",
  limitSize: "",
};

const HOURS: Record<string, number> = { ms: 1 / 3_600_000, s: 1 / 3600, min: 1 / 60, h: 1, d: 24 };
const GIB: Record<string, number> = { B: 2 ** -30, KiB: 2 ** -20, MiB: 2 ** -10, GiB: 1, TiB: 1024 };
const ID = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const ADDRESS = /^rtsp:\/\/[^/\s]/i;
/** Besides: called by SRT, or published to us. */
const SOURCE = /^(?:rtsp:\/\/[^/\s]|srt:\/\/[^/\s?]+:\d+(?:\/?\?\S*)?$|whip:\/\/publish$)/i;
const KIND = /^[a-z][a-z0-9_]{0,62}$/;
const CLASS = /^[a-z0-9-]{1,63}$/;

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

function quantity(text: string, units: Record<string, number>): number {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]+)$/i.exec(text);
  return match ? Number(match[1]) * (units[match[2] ?? ""] ?? 0) : 0;
}

const hoursOf = (text: string) => quantity(text, HOURS);
const secondsOf = (text: string) => rounded(hoursOf(text) * 3600);
const rounded = (value: number) => Math.round(value * 1e6) / 1e6;

/** `30d` as milliseconds. */
export function retentionMs(text: string): number {
  return hoursOf(text) * 3_600_000;
}

/** `30d` → 30 days; `90min` → 1.5 hours. */
export function readRetention(text: string): { retention: number; retentionUnit: RetentionUnit } {
  const hours = hoursOf(text);
  const wholeDays = hours >= 24 && hours % 24 === 0;
  return wholeDays ? { retention: hours / 24, retentionUnit: "d" } : { retention: hours, retentionUnit: "h" };
}

const daysOf = (text: string | null): Amount => (text === null ? "" : rounded(hoursOf(text) / 24));

/** Days as text that is exact: part of a day in hours. */
function daysText(days: Amount): string | null {
  if (days === "") return null;
  return Number.isInteger(Number(days)) ? `${days}d` : `${rounded(Math.round(Number(days) * 24 * 1e4) / 1e4)}h`;
}

export function formOf(camera: Camera): CameraForm {
  const { id, name, source, transport, record, events, schedule, limits } = camera;
  return {
    id,
    name,
    source,
    subSource: camera.sub_source ?? "",
    transport,
    record,
    eventKinds: [...events.kinds],
    preRollS: secondsOf(events.pre_roll),
    postRollS: secondsOf(events.post_roll),
    schedule: scheduleForm(schedule),
    scheduled: schedule !== null,
    ...readRetention(camera.retention),
    retentionClass: camera.retention_class ?? "",
    limitEvents: daysOf(limits.events),
    limitMinimum: daysOf(limits.minimum),
    limitMaximum: daysOf(limits.maximum),
    limitSize: limits.size === null ? "" : rounded(quantity(limits.size, GIB)),
  };
}

/** Which message of the catalog (`form.error.<key>`) a field gets; only what can be known here. */
export type FieldError =
  | "id"
  | "name"
  | "source"
  | "subSource"
  | "retention"
  | "kinds"
  | "preRoll"
  | "postRoll"
  | "schedule"
  | "retentionClass"
  | "limit"
  | "limitOrder";

type FieldErrors = Partial<Record<keyof CameraForm, FieldError>>;

const isLimit = (amount: Amount) => amount === "" || Number(amount) > 0;
const isWithin = (amount: Amount, least: number, most: number) =>
  amount !== "" && Number(amount) >= least && Number(amount) <= most;

export function check(form: CameraForm): FieldErrors {
  const errors: FieldErrors = {};
  if (!ID.test(form.id)) errors.id = "id";
  if (form.name.trim() === "") errors.name = "name";
  if (!SOURCE.test(form.source.trim())) errors.source = "source";
  const subSource = form.subSource.trim();
  if (subSource !== "" && !ADDRESS.test(subSource)) errors.subSource = "subSource";
  if (!(Number(form.retention) > 0)) errors.retention = "retention";
  if (form.eventKinds.length === 0 || !form.eventKinds.every((kind) => KIND.test(kind))) errors.eventKinds = "kinds";
  if (!isWithin(form.preRollS, 0, 60)) errors.preRollS = "preRoll";
  if (!isWithin(form.postRollS, 1, 3600)) errors.postRollS = "postRoll";
  const { entries } = form.schedule;
  if (form.record === "schedule" && (entries.length === 0 || !entries.every(isComplete))) errors.schedule = "schedule";
  return { ...errors, ...checkLimits(form) };
}

function checkLimits(form: CameraForm): FieldErrors {
  const errors: FieldErrors = {};
  if (form.retentionClass !== "" && !CLASS.test(form.retentionClass)) errors.retentionClass = "retentionClass";
  for (const field of ["limitEvents", "limitMinimum", "limitMaximum", "limitSize"] as const) {
    if (!isLimit(form[field])) errors[field] = "limit";
  }
  const { limitMinimum: minimum, limitMaximum: maximum } = form;
  if (minimum !== "" && maximum !== "" && Number(minimum) > Number(maximum)) errors.limitMaximum ??= "limitOrder";
  return errors;
}

/** The form's field for the last name of a path in the API's answer. */
const FIELDS: Readonly<Record<string, keyof CameraForm>> = {
  sub_source: "subSource",
  retention_class: "retentionClass",
  kinds: "eventKinds",
  pre_roll: "preRollS",
  post_roll: "postRollS",
  events: "limitEvents",
  minimum: "limitMinimum",
  maximum: "limitMaximum",
  limits: "limitMaximum",
  size: "limitSize",
};

/** What the server refused, by the form's fields; what belongs to none is left out. */
export function serverErrors(fields: Readonly<Record<string, string>>): Partial<Record<keyof CameraForm, string>> {
  const errors: Partial<Record<keyof CameraForm, string>> = {};
  for (const [name, message] of Object.entries(fields)) {
    const field = FIELDS[name] ?? (Object.hasOwn(NEW_CAMERA, name) ? (name as keyof CameraForm) : undefined);
    if (field) errors[field] = message;
  }
  return errors;
}

function sent(form: CameraForm): NewCamera {
  const { limitSize } = form;
  return {
    id: form.id,
    name: form.name.trim(),
    source: form.source.trim(),
    sub_source: form.subSource.trim() || null,
    transport: form.transport,
    record: form.record,
    events: { kinds: form.eventKinds, pre_roll: `${form.preRollS}s`, post_roll: `${form.postRollS}s` },
    schedule: form.record === "schedule" || form.scheduled ? sentSchedule(form.schedule) : null,
    retention: `${form.retention}${form.retentionUnit}`,
    retention_class: form.retentionClass === "" ? null : form.retentionClass,
    limits: {
      events: daysText(form.limitEvents),
      minimum: daysText(form.limitMinimum),
      maximum: daysText(form.limitMaximum),
      size: limitSize === "" ? null : `${limitSize}GiB`,
    },
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
    Object.entries(wanted).filter(([key, value]) => JSON.stringify(old[key as keyof CameraPatch]) !== JSON.stringify(value)),
  );
}
