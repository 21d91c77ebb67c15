/**
 * The STUN and TURN servers of this system, from the Link headers of WHEP (RFC 9725 §4.4).
 *
 * Most systems have none, so nobody asks for them beforehand: the first answer of a page names them, and whatever
 * is opened after it knows them. Only kept in memory: credentials end by themselves.
 */

const ENTRY = /<([^>]+)>((?:\s*;\s*[\w-]+\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^";,\s]+))*)/g;
const PARAMETER = /;\s*([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^";,\s]+))/g;

let known: readonly RTCIceServer[] = [];

/** Those that a Link header names; whatever else it links to is left out. */
export function iceServersIn(link: string | null): RTCIceServer[] {
  const found: RTCIceServer[] = [];
  for (const [, urls = "", rest = ""] of (link ?? "").matchAll(ENTRY)) {
    const parameters = new Map<string, string>();
    for (const [, name = "", quoted, plain = ""] of rest.matchAll(PARAMETER)) {
      parameters.set(name.toLowerCase(), quoted?.replaceAll(/\\(.)/g, "$1") ?? plain);
    }
    if (parameters.get("rel") !== "ice-server" || !/^(stuns?|turns?):/.test(urls)) continue;
    const [username, credential] = [parameters.get("username"), parameters.get("credential")];
    const secret = username !== undefined && credential !== undefined ? { username, credential } : {};
    found.push({ urls, ...secret });
  }
  return found;
}

export function knownIceServers(): RTCIceServer[] {
  return [...known];
}

/** Whether there are some that were not known before, whatever their credentials. */
export function learnIceServers(servers: readonly RTCIceServer[]): boolean {
  const before = new Set(known.flatMap(({ urls }) => urls));
  known = servers;
  return servers.flatMap(({ urls }) => urls).some((url) => !before.has(url));
}
