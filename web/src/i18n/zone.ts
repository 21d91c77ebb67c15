/**
 * Wall clock times of any IANA time zone, by Intl. Pure.
 *
 * Belongs here: between instants and a zone's calendar. Does not: which zone is shown (zoneChoice.ts),
 * how times are written (format.ts).
 */

export interface WallTime {
  year: number;
  /** 1 to 12 */
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const formats = new Map<string, Intl.DateTimeFormat>();

/** The zone of this browser. */
export function viewerZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
}

export function isZone(name: string): boolean {
  try {
    partsFormat(name);
    return true;
  } catch {
    return false;
  }
}

function partsFormat(zone: string): Intl.DateTimeFormat {
  let format = formats.get(zone);
  if (!format) {
    format = new Intl.DateTimeFormat("en-US", {
      timeZone: zone,
      calendar: "gregory",
      numberingSystem: "latn",
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
    formats.set(zone, format);
  }
  return format;
}

/** What clocks of `zone` show at an instant. */
export function wallTime(zone: string, ms: number): WallTime {
  const found: Record<string, number> = {};
  for (const { type, value } of partsFormat(zone).formatToParts(ms)) found[type] = Number(value);
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = found;
  return { year, month, day, hour, minute, second };
}

function asUtc({ year, month, day, hour, minute, second }: WallTime): number {
  return Date.UTC(year, month - 1, day, hour, minute, second);
}

/** How far the zone's clocks are ahead of UTC at an instant, in milliseconds. */
export function offsetMs(zone: string, ms: number): number {
  return asUtc(wallTime(zone, ms)) - Math.floor(ms / 1000) * 1000;
}

/**
 * The instant at which clocks of `zone` show this; parts may overflow (day 32, hour 24).
 *
 * A time that comes twice is the first one; one that clocks leave out is as much later as they jump.
 */
export function instantOf(zone: string, wall: WallTime): number {
  const utc = asUtc(wall);
  const before = offsetMs(zone, utc - DAY_MS);
  const after = offsetMs(zone, utc + DAY_MS);
  const fits = [before, after].map((offset) => utc - offset).filter((ms) => offsetMs(zone, ms) === utc - ms);
  return fits.length > 0 ? Math.min(...fits) : utc - before;
}

/** When the day begins; 01:00 where clocks change at midnight. `day` may overflow its month. */
export function dayStart(zone: string, year: number, month: number, day: number): number {
  return instantOf(zone, { year, month, day, hour: 0, minute: 0, second: 0 });
}

/** Clocks of the zone show this time twice, for they are set back within some hours. */
export function comesTwice(zone: string, ms: number): boolean {
  const own = offsetMs(zone, ms);
  return [-3 * HOUR_MS, 3 * HOUR_MS].some((by) => {
    const other = offsetMs(zone, ms + by);
    // The same reading under the other offset is another instant that exists.
    const twin = ms + own - other;
    return other !== own && offsetMs(zone, twin) === other;
  });
}

/** Whether two zones' clocks differ at an instant. */
export function differs(first: string, second: string, ms: number): boolean {
  return offsetMs(first, ms) !== offsetMs(second, ms);
}
