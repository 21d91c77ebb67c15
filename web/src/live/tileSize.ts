/** How large a tile is, so that the server can choose the stream that suits it. */

/** Device pixels. */
export interface TileSize {
  width: number;
  height: number;
}

/** While a window is being dragged larger, nothing is asked for. */
const SETTLED_AFTER_MS = 300;
/** The API takes no more. */
const MOST_PIXELS = 16_384;

/** Of a tile of so many CSS pixels; null for one that is not laid out. */
export function deviceSize(widthPx: number, heightPx: number, ratio: number): TileSize | null {
  const [width, height] = [widthPx, heightPx].map((px) => Math.min(MOST_PIXELS, Math.round(px * ratio)));
  return width !== undefined && height !== undefined && width > 0 && height > 0 ? { width, height } : null;
}

export function sameSize(a: TileSize | null, b: TileSize | null): boolean {
  return a?.width === b?.width && a?.height === b?.height;
}

/** An address with the size in its query. */
export function withSize(address: string, size: TileSize | null): string {
  if (size === null) return address;
  const query = new URLSearchParams({ width: String(size.width), height: String(size.height) });
  return `${address}${address.includes("?") ? "&" : "?"}${query.toString()}`;
}

/** Tells the size at once, and then whenever it has settled; what it gives back ends that. */
export function watchSize(element: Element, onSize: (size: TileSize) => void): () => void {
  const tell = () => {
    const { width, height } = element.getBoundingClientRect();
    const size = deviceSize(width, height, devicePixelRatio);
    if (size !== null) onSize(size);
  };
  let timer: ReturnType<typeof setTimeout> | undefined;
  const observer = new ResizeObserver(() => {
    clearTimeout(timer);
    timer = setTimeout(tell, SETTLED_AFTER_MS);
  });
  tell();
  observer.observe(element);
  return () => {
    clearTimeout(timer);
    observer.disconnect();
  };
}
