/** How tiles are laid out on a screen, and where the arrow keys lead. Pure. */

export const LAYOUTS = ["auto", "1", "4", "9", "16"] as const;
export type Layout = (typeof LAYOUTS)[number];

export interface Grid {
  columns: number;
  tileWidthPx: number;
  tileHeightPx: number;
}

const ASPECT = 16 / 9;
/** As many pictures as a browser decodes with ease; more go to further pages. */
const AUTO_PER_PAGE = 25;
const PHONE_PX = 600;

export function isLayout(text: string | null): text is Layout {
  return (LAYOUTS as readonly (string | null)[]).includes(text);
}

export function perPage(layout: Layout): number {
  return layout === "auto" ? AUTO_PER_PAGE : Number(layout);
}

export function pageCount(cameras: number, layout: Layout): number {
  return Math.max(1, Math.ceil(cameras / perPage(layout)));
}

function tileWidth(columns: number, rows: number, widthPx: number, heightPx: number, gapPx: number): number {
  const byWidth = (widthPx - gapPx * (columns - 1)) / columns;
  const byHeight = ((heightPx - gapPx * (rows - 1)) / rows) * ASPECT;
  return Math.floor(Math.max(0, Math.min(byWidth, byHeight)));
}

function sized(columns: number, tileWidthPx: number): Grid {
  return { columns, tileWidthPx, tileHeightPx: Math.floor(tileWidthPx / ASPECT) };
}

/** The arrangement with the largest 16:9 tiles; on a phone, as wide as it is and scrolled. */
export function arrange(
  layout: Layout,
  tiles: number,
  widthPx: number,
  heightPx: number,
  gapPx: number,
): Grid {
  const square = Math.sqrt(perPage(layout));
  if (widthPx < PHONE_PX && heightPx > widthPx) {
    const columns = layout === "auto" ? 1 : Math.min(2, square);
    return sized(columns, tileWidth(columns, 1, widthPx, Infinity, gapPx));
  }
  if (layout !== "auto") return sized(square, tileWidth(square, square, widthPx, heightPx, gapPx));
  let best = sized(1, 0);
  for (let columns = 1; columns <= Math.max(1, tiles); columns += 1) {
    const width = tileWidth(columns, Math.ceil(tiles / columns), widthPx, heightPx, gapPx);
    if (width > best.tileWidthPx) best = sized(columns, width);
  }
  return best;
}

/** The tile that an arrow key leads to from `index`; the same one at an edge. */
export function neighbour(key: string, index: number, count: number, columns: number): number {
  const moves: Record<string, number> = {
    ArrowLeft: -1,
    ArrowRight: 1,
    ArrowUp: -columns,
    ArrowDown: columns,
    Home: -index,
    End: count - 1 - index,
  };
  const target = index + (moves[key] ?? 0);
  return target >= 0 && target < count ? target : index;
}
