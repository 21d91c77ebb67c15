/** Bookmarks on the timeline: pointing at one says what it is, pressing it shows it. */
import { Tooltip } from "@mantine/core";
import { IconBookmarkFilled } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";

import type { Bookmark } from "../api/evidenceTypes";
import { useFormat } from "../i18n/format";
import type { View } from "../timeline/view";
import classes from "./bookmarks.module.css";
import { type BookmarkMark, bookmarkMarks, rangeBars, startOf } from "./marks";

interface Props {
  bookmarks: readonly Bookmark[];
  view: View;
  widthPx: number;
  onSeek: (ms: number) => void;
}

export function BookmarkMarks({ bookmarks, view, widthPx, onSeek }: Props) {
  return (
    <>
      {rangeBars(bookmarks, view, widthPx).map(({ x, width }) => (
        <i key={x} className={classes.range} style={{ left: x, width }} aria-hidden />
      ))}
      {bookmarkMarks(bookmarks, view, widthPx).map((mark) => (
        <Mark key={mark.bookmarks[0]?.id} mark={mark} onSeek={onSeek} />
      ))}
    </>
  );
}

function Mark({ mark: { x, bookmarks }, onSeek }: { mark: BookmarkMark; onSeek: (ms: number) => void }) {
  const { t } = useTranslation("bookmarks");
  const format = useFormat();
  const [first, ...others] = bookmarks;
  if (!first) return null;
  const atMs = startOf(first);
  const text = [`${first.title} · ${format.dateTime(atMs)}`, first.note, ...others.map(({ title }) => title)]
    .filter((line) => line !== "")
    .join("\n");
  return (
    <Tooltip label={text} multiline maw={300} style={{ whiteSpace: "pre-line" }} events={{ hover: true, focus: true, touch: true }}>
      <button
        type="button"
        className={classes.mark}
        style={{ left: x }}
        data-testid="bookmark-mark"
        aria-label={t("mark", { title: first.title, time: format.dateTime(atMs) })}
        onClick={() => onSeek(atMs)}
      >
        <IconBookmarkFilled size={14} aria-hidden />
        {others.length > 0 && <span className={classes.many}>{bookmarks.length}</span>}
      </button>
    </Tooltip>
  );
}
