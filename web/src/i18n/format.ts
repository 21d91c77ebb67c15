/** Times, numbers and quantities in the reader's language, by Intl. */
import { useMemo } from "react";
import { useTranslation } from "react-i18next";

import { nearestLanguage } from "./languages";
import { comesTwice, differs, viewerZone } from "./zone";
import { useZones } from "./zoneChoice";

export interface Format {
  /** 14:03 */
  minute: (ms: number) => string;
  /** 14:03:22 */
  time: (ms: number) => string;
  /** 14:03:22.040 */
  exactTime: (ms: number) => string;
  /** 23 Nov */
  day: (ms: number) => string;
  /** Nov 2026 */
  month: (ms: number) => string;
  /** Mon, 23 Nov 2026 */
  date: (ms: number) => string;
  /** 23 Nov 2026, 14:03:22; with the zone where it could be taken for another. */
  dateTime: (ms: number) => string;
  /** CET, GMT-3: where the time could be taken for another, else null. */
  zoneMark: (ms: number) => string | null;
  number: (value: number, digits?: number) => string;
  /** 3.2% of a share from 0 to 1 */
  percent: (share: number) => string;
  /** 1.5× */
  speed: (rate: number) => string;
  /** 3.9 Mbit/s */
  bitrate: (bitsPerSecond: number) => string;
  /** 24 MB */
  bytes: (bytes: number) => string;
  /** 85 ms */
  milliseconds: (ms: number) => string;
  /** 1 h 20 min, 45 s: the two largest units. */
  duration: (ms: number) => string;
  /** 1h: for a button. */
  shortDuration: (ms: number) => string;
}

const BYTE_UNITS = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"] as const;
const BIT_UNITS = ["bit", "kilobit", "megabit", "gigabit"] as const;
const DURATIONS = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
  ["second", 1_000],
] as const;

function scaled(language: string, value: number, units: readonly string[], perSecond: boolean): string {
  let power = 0;
  while (value >= 1000 && power < units.length - 1) {
    value /= 1000;
    power += 1;
  }
  const options: Intl.NumberFormatOptions = {
    style: "unit",
    unit: units[power] + (perSecond ? "-per-second" : ""),
    maximumFractionDigits: value < 10 && power > 0 ? 1 : 0,
  };
  try {
    return new Intl.NumberFormat(language, options).format(value);
  } catch {
    // "megabit-per-second" is made of two sanctioned units, which not every engine combines.
    const plain = new Intl.NumberFormat(language, { ...options, unit: units[power] ?? "bit" });
    return `${plain.format(value)}/s`;
  }
}

function duration(language: string, ms: number, unitDisplay: "short" | "narrow"): string {
  let rest = Math.max(0, Math.round(ms / 1000) * 1000);
  const parts: string[] = [];
  for (const [unit, size] of DURATIONS) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0 || (unit === "second" && parts.length === 0)) {
      const format = new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay });
      parts.push(format.format(count));
    } else if (parts.length > 0) {
      break;
    }
    if (parts.length === 2) break;
  }
  return parts.join(" ");
}

/** The zone's abbreviation at an instant. */
export function zoneName(language: string, zone: string, ms: number): string {
  const parts = new Intl.DateTimeFormat(language, { timeZone: zone, timeZoneName: "short" }).formatToParts(ms);
  return parts.find(({ type }) => type === "timeZoneName")?.value ?? zone;
}

/**
 * Formats in `language`; times are in `zone`, on a 24-hour clock, as control rooms keep it.
 *
 * otherZones: zones that the reader may take a time for; where their clocks differ, or show it twice, the zone is said.
 */
export function createFormat(language: string, zone = viewerZone(), otherZones: readonly string[] = []): Format {
  const time = (options: Intl.DateTimeFormatOptions) => {
    const format = new Intl.DateTimeFormat(language, { hourCycle: "h23", timeZone: zone, ...options });
    return (ms: number) => format.format(ms);
  };
  const zoneMark = (ms: number) =>
    otherZones.some((other) => differs(zone, other, ms)) || comesTwice(zone, ms) ? zoneName(language, zone, ms) : null;
  const hm = { hour: "2-digit", minute: "2-digit" } as const;
  const hms = { ...hm, second: "2-digit" } as const;
  const dateTime = time({ day: "numeric", month: "short", year: "numeric", ...hms });
  const marked = (text: string, mark: string | null) => (mark === null ? text : `${text} ${mark}`);
  return {
    minute: time(hm),
    time: time(hms),
    exactTime: time({ ...hms, fractionalSecondDigits: 3 }),
    day: time({ day: "numeric", month: "short" }),
    month: time({ month: "short", year: "numeric" }),
    date: time({ weekday: "short", day: "numeric", month: "short", year: "numeric" }),
    dateTime: (ms) => marked(dateTime(ms), zoneMark(ms)),
    zoneMark,
    number: (value, digits = 0) =>
      new Intl.NumberFormat(language, { maximumFractionDigits: digits }).format(value),
    percent: (share) =>
      new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: share < 0.1 ? 1 : 0 }).format(share),
    speed: (rate) => `${new Intl.NumberFormat(language).format(rate)}×`,
    bitrate: (value) => scaled(language, value, BIT_UNITS, true),
    bytes: (value) => scaled(language, value, BYTE_UNITS, false),
    milliseconds: (value) =>
      new Intl.NumberFormat(language, {
        style: "unit",
        unit: "millisecond",
        maximumFractionDigits: 0,
      }).format(value),
    duration: (ms) => duration(language, ms, "short"),
    shortDuration: (ms) => duration(language, ms, "narrow"),
  };
}

/** The region that the browser asks for, where it is of the app's language: en-GB writes dates as it does. */
export function regional(language: string, wanted: readonly string[]): string {
  return wanted.find((tag) => tag.includes("-") && nearestLanguage(tag) === language) ?? language;
}

export function useFormat(): Format {
  const { i18n } = useTranslation();
  const { shown, viewer, site } = useZones();
  return useMemo(
    () => createFormat(regional(i18n.language, navigator.languages), shown, site === null ? [viewer] : [viewer, site]),
    [i18n.language, shown, viewer, site],
  );
}
