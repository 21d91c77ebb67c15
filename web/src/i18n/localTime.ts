/** Between an instant and the local date and time that form fields hold. Pure. */

export interface LocalTime {
  /** YYYY-MM-DD */
  date: string;
  /** HH:mm:ss */
  time: string;
}

const two = (value: number) => String(value).padStart(2, "0");

export function toLocalTime(ms: number): LocalTime {
  const at = new Date(ms);
  return {
    date: `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`,
    time: `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`,
  };
}

/** The instant of a local date and time; null while they are incomplete. */
export function fromLocalTime({ date, time }: LocalTime): number | null {
  if (!/^\d{4}-\d\d-\d\d$/.test(date) || !/^\d\d:\d\d(:\d\d)?$/.test(time)) return null;
  const ms = new Date(`${date}T${time}`).getTime();
  return Number.isNaN(ms) ? null : ms;
}
