/** Between an instant and the date and time that form fields hold, in the zone that is shown. Pure. */
import { instantOf, wallTime } from "./zone";

export interface LocalTime {
  /** YYYY-MM-DD */
  date: string;
  /** HH:mm:ss */
  time: string;
}

const two = (value: number) => String(value).padStart(2, "0");

export function toLocalTime(zone: string, ms: number): LocalTime {
  const { year, month, day, hour, minute, second } = wallTime(zone, ms);
  return {
    date: `${String(year).padStart(4, "0")}-${two(month)}-${two(day)}`,
    time: `${two(hour)}:${two(minute)}:${two(second)}`,
  };
}

/** The instant of a date and time; null while they are incomplete or there is no such day. */
export function fromLocalTime(zone: string, { date, time }: LocalTime): number | null {
  if (!/^\d{4}-\d\d-\d\d$/.test(date) || !/^\d\d:\d\d(:\d\d)?$/.test(time)) return null;
  const ms = Date.parse(`${date}T${time}Z`);
  if (Number.isNaN(ms)) return null;
  const utc = wallTime("UTC", ms);
  // Date.parse takes 31 February for 3 March in some engines.
  return utc.day === Number(date.slice(8)) ? instantOf(zone, utc) : null;
}
