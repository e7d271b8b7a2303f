/** A look for the daemon that costs no socket. */

/** How long the daemon may take to answer whether it is there. */
export const PROBE_MAX_MS = 2_000;

/**
 * Whether anything answers where the daemon should be. What it answers is of no interest, and cannot be read.
 * @param {string} address the WebSocket's
 * @param {object} env `fetch`, `setTimeout`, `clearTimeout`
 */
export async function probe(address, { fetch, setTimeout, clearTimeout }) {
  const given = new AbortController();
  const timer = setTimeout(() => given.abort(), PROBE_MAX_MS);
  try {
    const url = new URL("/health", address.replace(/^ws/, "http"));
    // In this mode redirects can only be followed: another choice is an error of its own.
    await fetch(url.href, { mode: "no-cors", credentials: "omit", cache: "no-store", signal: given.signal });
    return true;
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}
