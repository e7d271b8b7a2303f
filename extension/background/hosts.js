/** Which addresses belong to a platform. Pure. */

/** Whether `hostname` matches one of `hosts`; `*.` matches any subdomain, not the host itself. */
export function hostAllowed(hosts, hostname) {
  return hosts.some((pattern) => {
    if (pattern.startsWith("*.")) return hostname.endsWith(pattern.slice(1)) && hostname.length > pattern.length - 1;
    return hostname === pattern;
  });
}

/** Whether `address` belongs to the platform: its scheme, its port, one of its hosts, and no user name. */
export function isOnPlatform(platform, address) {
  let url;
  let shell;
  try {
    url = new URL(address);
    shell = new URL(platform.shell_url);
  } catch {
    return false;
  }
  return (
    url.protocol === shell.protocol &&
    url.port === shell.port &&
    url.username === "" &&
    url.password === "" &&
    hostAllowed(platform.hosts, url.hostname)
  );
}

/**
 * Returns the address of a request, or null if it is not on the platform. `path` must be a path with one leading slash
 * or an absolute URL: what a browser would tolerate (tabs, backslashes, `//host`, user names) is refused.
 * @returns {URL | null}
 */
export function resolve(platform, path) {
  // eslint-disable-next-line no-control-regex -- control characters are refused
  if (typeof path !== "string" || path === "" || /[\u0000-\u001f\u007f\\]/.test(path)) return null;
  if (path.startsWith("//")) return null;
  if (!path.startsWith("/") && !/^https?:\/\/[^/?#@%\s]+([/?#]|$)/i.test(path)) return null;
  let url;
  try {
    url = new URL(path, platform.shell_url);
  } catch {
    return null;
  }
  if (!isOnPlatform(platform, url.href) || url.pathname.startsWith("//")) return null;
  if (path.startsWith("/") && url.origin !== new URL(platform.shell_url).origin) return null;
  return url;
}

/** Returns the match patterns that cover a platform. Match patterns have no port. */
export function patterns(platform) {
  const scheme = new URL(platform.shell_url).protocol;
  return platform.hosts.map((host) => `${scheme}//${host}/*`);
}

/** Returns the match pattern of the pages that perform a platform's requests. */
export function pagePattern(platform) {
  const { protocol, hostname } = new URL(platform.shell_url);
  return `${protocol}//${hostname}/*`;
}

/** Whether `address` is a WebSocket address of this machine. */
export function isLoopbackSocket(address) {
  try {
    const url = new URL(address);
    const local = ["127.0.0.1", "localhost", "[::1]"].includes(url.hostname);
    return url.protocol === "ws:" && local && url.username === "" && url.password === "" && url.hash === "";
  } catch {
    return false;
  }
}
