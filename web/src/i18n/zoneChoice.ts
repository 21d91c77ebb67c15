/** Whose clock times are shown by: the viewer's or the site's; chosen once, remembered by this browser. */
import { useSyncExternalStore } from "react";

import { isZone, viewerZone } from "./zone";

export type ZoneChoice = "viewer" | "site";

export interface Zones {
  choice: ZoneChoice;
  /** The zone that times are shown in. */
  shown: string;
  viewer: string;
  /** null: not told, or not known to this browser. */
  site: string | null;
  siteName: string;
}

const KEY = "vms.zone";

function remembered(): ZoneChoice {
  try {
    return localStorage.getItem(KEY) === "site" ? "site" : "viewer";
  } catch {
    return "viewer";
  }
}

function made(choice: ZoneChoice, site: string | null, siteName: string): Zones {
  const viewer = viewerZone();
  return { choice, viewer, site, siteName, shown: choice === "site" && site !== null ? site : viewer };
}

let zones: Zones = made(remembered(), null, "");
const listeners = new Set<() => void>();

function publish(next: Zones): void {
  zones = next;
  for (const listener of listeners) listener();
}

export function setZoneChoice(choice: ZoneChoice): void {
  try {
    localStorage.setItem(KEY, choice);
  } catch {
    // A browser that stores nothing forgets it with the page.
  }
  publish(made(choice, zones.site, zones.siteName));
}

/** What the system says of its site; a zone that this browser does not know is none. */
export function setSite(name: string, timeZone: string): void {
  const site = isZone(timeZone) ? timeZone : null;
  if (site !== zones.site || name !== zones.siteName) publish(made(zones.choice, site, name));
}

const subscribe = (listener: () => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

export function useZones(): Zones {
  return useSyncExternalStore(subscribe, () => zones);
}

/** The zone that times are shown in. */
export function useZone(): string {
  return useZones().shown;
}
