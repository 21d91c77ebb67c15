import { expect, test } from "vitest";

import { createFormat, regional } from "./format";
import { nearestLanguage } from "./languages";

const AT = new Date(2026, 10, 23, 14, 3, 22).getTime();
const en = createFormat("en-GB");
const pt = createFormat("pt-BR");

test("times use a 24-hour clock in every language, midnight being 00", () => {
  expect(en.time(AT)).toBe("14:03:22");
  expect(createFormat("en-US").time(AT)).toBe("14:03:22");
  expect(pt.minute(new Date(2026, 10, 23, 0, 5).getTime())).toBe("00:05");
});

test("dates are written as the language writes them", () => {
  expect(en.date(AT)).toBe("Mon, 23 Nov 2026");
  expect(pt.dateTime(AT)).toMatch(/^23 de nov\. de 2026, 14:03:22$/);
});

test("durations show their two largest units", () => {
  expect(en.duration(80 * 60_000)).toBe("1 hr 20 mins");
  expect(pt.duration(80 * 60_000)).toBe("1 h 20 min");
  expect(pt.duration(45_400)).toBe("45 s");
  expect(pt.duration(0)).toBe("0 s");
  expect(pt.duration(86_400_000 + 5_000)).toBe("1 dia");
});

test("quantities scale to a readable unit", () => {
  expect(en.bytes(24_300_000)).toBe("24 MB");
  expect(en.bitrate(3_900_000)).toMatch(/^3\.9\s?Mb\/s$/);
  expect(pt.bitrate(3_900_000)).toMatch(/^3,9\s?Mb\/s$/);
  expect(pt.speed(0.5)).toBe("0,5×");
  expect([en.percent(0.032), en.percent(0.856), en.percent(1.5)]).toEqual(["3.2%", "86%", "150%"]);
});

test("the browser's region is kept where it is of the app's language", () => {
  expect(regional("en", ["pt-BR", "en-GB", "en-US"])).toBe("en-GB");
  expect(regional("pt-BR", ["en-GB"])).toBe("pt-BR");
});

test("any Portuguese is answered in Brazilian Portuguese, anything else unknown in English", () => {
  expect(["pt", "pt-PT", "pt-BR", "de", "en-AU"].map(nearestLanguage)).toEqual(["pt-BR", "pt-BR", "pt-BR", "en", "en"]);
});

test("times are of the zone that is shown, which is named where clocks elsewhere differ or show it twice", () => {
  const site = createFormat("en-GB", "Europe/Berlin", ["America/Sao_Paulo", "Europe/Berlin"]);
  const noon = Date.parse("2026-07-01T10:00:00Z");
  expect(site.dateTime(noon)).toBe("1 Jul 2026, 12:00:00 CEST");
  const alone = createFormat("en-GB", "Europe/Berlin", ["Europe/Berlin"]);
  expect(alone.dateTime(noon)).toBe("1 Jul 2026, 12:00:00");
  expect(["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"].map((text) => alone.dateTime(Date.parse(text)))).toEqual([
    "25 Oct 2026, 02:30:00 CEST",
    "25 Oct 2026, 02:30:00 CET",
  ]);
  expect(alone.exactTime(Date.parse("2026-07-01T10:00:00.040Z"))).toBe("12:00:00.040");
});
