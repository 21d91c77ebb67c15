/** A still picture, for when there is no moving one. */
import { useEffect, useState } from "react";

/** An object URL of the picture at `address`, or null; asked for once, or every `everyMs`. */
export function useSnapshot(address: string | null, everyMs: number | null): string | null {
  const [picture, setPicture] = useState<string | null>(null);

  useEffect(() => {
    if (address === null) return undefined;
    const abort = new AbortController();
    const load = async () => {
      const response = await fetch(address, { cache: "no-store", signal: abort.signal });
      if (response.ok) setPicture(URL.createObjectURL(await response.blob()));
    };
    // No picture is no news: the tile already says why there is none.
    const attempt = () => void load().catch(() => undefined);
    attempt();
    const timer = everyMs === null ? null : setInterval(attempt, everyMs);
    return () => {
      abort.abort();
      if (timer !== null) clearInterval(timer);
    };
  }, [address, everyMs]);

  useEffect(() => {
    return () => {
      if (picture !== null) URL.revokeObjectURL(picture);
    };
  }, [picture]);

  return address === null ? null : picture;
}
