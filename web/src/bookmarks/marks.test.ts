import { expect, test } from "vitest";

import { bookmarkQuery } from "../api/evidence";
import type { Bookmark } from "../api/evidenceTypes";
import { bookmarkMarks, rangeBars } from "./marks";

const view = { startMs: 0, endMs: 100_000 };
const bookmark = (id: string, ms: number): Bookmark => ({
  id,
  camera_id: "porch",
  start: new Date(ms).toISOString(),
  end: new Date(ms).toISOString(),
  title: id,
  note: "",
  created_by: "",
  created_at: "2026-11-23T10:00:00Z",
});

test("bookmarks that would cover each other are one mark, in time order", () => {
  const marks = bookmarkMarks([bookmark("c", 50_000), bookmark("b", 11_000), bookmark("a", 10_000)], view, 1_000);
  expect(marks.map(({ x, bookmarks }) => [x, bookmarks.map(({ id }) => id)])).toEqual([
    [100, ["a", "b"]],
    [500, ["c"]],
  ]);
});

test("what begins outside the view has no mark", () => {
  expect(bookmarkMarks([bookmark("a", -1), bookmark("b", 100_001)], view, 1_000)).toEqual([]);
});

test("a bookmarked range is drawn as far as it reaches, a moment is not", () => {
  const range = { ...bookmark("range", 50_000), end: new Date(80_000).toISOString() };
  expect(rangeBars([range, bookmark("moment", 10_000)], view, 1_000)).toEqual([{ x: 500, width: 300 }]);
});

test("a search asks for what was written alone", () => {
  expect(bookmarkQuery({ text: "  " })).toBe("limit=200");
  expect(bookmarkQuery({ cameraId: "porch", text: " white van ", startMs: 0, endMs: 1_000 })).toBe(
    "limit=200&camera_id=porch&q=white+van&start=1970-01-01T00%3A00%3A00.000Z&end=1970-01-01T00%3A00%3A01.000Z",
  );
});
