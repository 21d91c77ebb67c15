/** Many cameras' recordings on one time axis, a row each: where things stand, and drawing them. */
import type { Coverage, CoverageByCamera } from "../api/coverage";
import { NO_COVERAGE } from "../api/coverage";
import { spanBars } from "./bars";
import type { View } from "./view";

const TALLEST_PX = 22;
const MOST_PX = 160;

export interface RowColours {
  track: string;
  recorded: string;
  event: string;
  locked: string;
}

/** Rows as tall as there is room for: from 22 pixels for a few to one for very many. */
export function rowHeight(rows: number): number {
  return Math.max(1, Math.min(TALLEST_PX, Math.floor(MOST_PX / Math.max(1, rows))));
}

/** The row at `y`; the nearest one outside. */
export function rowAt(y: number, rows: number): number {
  return Math.min(rows - 1, Math.max(0, Math.floor(y / rowHeight(rows))));
}

type Painter = Pick<CanvasRenderingContext2D, "fillRect"> & { fillStyle: unknown };

function paint(context: Painter, spans: Coverage["spans"], view: View, widthPx: number, y: number, height: number): void {
  for (const bar of spanBars(spans, view, widthPx)) context.fillRect(bar.x, y, Math.max(1, bar.width), height);
}

/** Draw all rows; one pass a colour, for changing it is what costs. */
export function drawRows(
  context: Painter,
  cameraIds: readonly string[],
  coverage: CoverageByCamera,
  view: View,
  widthPx: number,
  colours: RowColours,
): void {
  const height = rowHeight(cameraIds.length);
  const inner = Math.max(1, height - (height > 3 ? 2 : 0));
  const strip = Math.max(1, Math.round(inner / 5));
  const of = (id: string) => coverage.get(id) ?? NO_COVERAGE;
  context.fillStyle = colours.track;
  cameraIds.forEach((_, row) => context.fillRect(0, row * height, widthPx, inner));
  context.fillStyle = colours.recorded;
  cameraIds.forEach((id, row) => paint(context, of(id).spans, view, widthPx, row * height, inner));
  context.fillStyle = colours.event;
  cameraIds.forEach((id, row) => paint(context, of(id).events, view, widthPx, row * height + inner - strip, strip));
  context.fillStyle = colours.locked;
  cameraIds.forEach((id, row) => paint(context, of(id).locked, view, widthPx, row * height, strip));
}
