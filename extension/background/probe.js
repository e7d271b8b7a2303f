/** A probe of the daemon's address without a WebSocket. */

/** How long the daemon may take to answer. */
export const PROBE_MAX_MS = 2_000;

/**
 * Whether anything answers at the daemon's address. The answer itself cannot be read.
 * @param {string} address the WebSocket's
 * @param {object} env `fetch`, `setTimeout`, `clearTimeout`
 */
export async function probe(address, { fetch, setTimeout, clearTimeout }) {
  const given = new AbortController();
  const timer = setTimeout(() => given.abort(), PROBE_MAX_MS);
  try {
    const url = new URL("/health", address.replace(/^ws/, "http"));
    // In this mode redirects are always followed; another setting would be an error.
    await fetch(url.href, { mode: "no-cors", credentials: "omit", cache: "no-store", signal: given.signal });
    return true;
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}
