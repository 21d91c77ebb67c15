import { describe, expect, test } from "vitest";

import { catalogs } from "./catalogs";
import { LANGUAGES } from "./languages";

function texts(value: unknown, path = ""): Map<string, string> {
  if (typeof value === "string") return new Map([[path, value]]);
  const found = new Map<string, string>();
  for (const [key, inner] of Object.entries(value as object)) {
    for (const [innerPath, text] of texts(inner, path ? `${path}.${key}` : key)) found.set(innerPath, text);
  }
  return found;
}

const placeholders = (text: string) => [...text.matchAll(/\{\{(\w+)\}\}/g)].map((match) => match[1]).toSorted();

test("every language of the app has a catalog", () => {
  expect(Object.keys(catalogs).toSorted()).toEqual(Object.keys(LANGUAGES).toSorted());
});

describe.each(Object.entries(catalogs))("the catalog of %s", (_, catalog) => {
  const english = texts(catalogs.en);
  const own = texts(catalog);

  test("has the same keys as English", () => {
    expect([...own.keys()].toSorted()).toEqual([...english.keys()].toSorted());
  });

  test("leaves no text empty", () => {
    expect([...own].filter(([, text]) => text.trim() === "")).toEqual([]);
  });

  test("fills in the same values as English", () => {
    for (const [key, text] of english) expect([key, placeholders(own.get(key) ?? "")]).toEqual([key, placeholders(text)]);
  });
});
