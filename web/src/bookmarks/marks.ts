/** Where bookmarks stand on a timeline. Pure. */
import type { Bookmark } from "../api/evidenceTypes";
import { type Bar, spanBars } from "../timeline/bars";
import { toPx, type View } from "../timeline/view";

export interface BookmarkMark {
  x: number;
  /** Those that stand here, in time order; more than one where they would cover each other. */
  bookmarks: Bookmark[];
}

/** Nearer ones cannot be told apart, nor hit. */
const APART_PX = 18;

export const startOf = ({ start }: Bookmark): number => Date.parse(start);

/** Marks from left to right, of what begins within the view. */
export function bookmarkMarks(bookmarks: readonly Bookmark[], view: View, widthPx: number): BookmarkMark[] {
  const marks: BookmarkMark[] = [];
  for (const bookmark of bookmarks.toSorted((a, b) => startOf(a) - startOf(b))) {
    const startMs = startOf(bookmark);
    if (startMs < view.startMs || startMs > view.endMs) continue;
    const x = toPx(view, widthPx, startMs);
    const last = marks.at(-1);
    if (last && x - last.x < APART_PX) last.bookmarks.push(bookmark);
    else marks.push({ x, bookmarks: [bookmark] });
  }
  return marks;
}

/** Where bookmarked ranges reach; those that overlap are one. */
export function rangeBars(bookmarks: readonly Bookmark[], view: View, widthPx: number): Bar[] {
  const ranges = bookmarks
    .map((bookmark) => ({ startMs: startOf(bookmark), endMs: Date.parse(bookmark.end) }))
    .filter(({ startMs, endMs }) => endMs > startMs)
    .toSorted((a, b) => a.startMs - b.startMs);
  return spanBars(ranges, view, widthPx);
}
