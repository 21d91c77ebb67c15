/** A page whose code comes on its own, and is asked for again while the server is away. */
import { type ComponentType, lazy, type LazyExoticComponent } from "react";

const ATTEMPTS = 6;
const AGAIN_AFTER_MS = 1_000;

export interface LatePage {
  Page: LazyExoticComponent<ComponentType>;
  /** Have its code here before it is opened. */
  fetchAhead: () => void;
}

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** What `load` gives, tried again some times, `againAfterMs` apart; then its error. */
export async function patiently<T>(load: () => Promise<T>, againAfterMs = AGAIN_AFTER_MS): Promise<T> {
  for (let attempt = 1; attempt < ATTEMPTS; attempt += 1) {
    try {
      return await load();
    } catch {
      await wait(againAfterMs);
    }
  }
  return load();
}

export function latePage(load: () => Promise<ComponentType>): LatePage {
  return {
    Page: lazy(async () => ({ default: await patiently(load) })),
    // Failing here is no loss: opening the page asks again.
    fetchAhead: () => void load().catch(() => undefined),
  };
}
