/** Which addresses belong to a platform. Pure. */

/** Whether `hostname` is one of `hosts`, where `*.` stands for any subdomain but not the host itself. */
export function hostAllowed(hosts, hostname) {
  return hosts.some((pattern) => {
    if (pattern.startsWith("*.")) return hostname.endsWith(pattern.slice(1)) && hostname.length > pattern.length - 1;
    return hostname === pattern;
  });
}

/** Whether a page or request at `address` is the platform's: its scheme, its port, one of its hosts, nobody's name in it. */
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
 * Where a request goes, or null when that is not on the platform. The text must be a path with one slash or an absolute
 * URL: what a browser would forgive (tabs, backslashes, `//host`, user names) is refused.
 * @returns {URL | null}
 */
export function resolve(platform, path) {
  // eslint-disable-next-line no-control-regex -- they are what is looked for
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

/** The match patterns that cover a platform. Match patterns have no port. */
export function patterns(platform) {
  const scheme = new URL(platform.shell_url).protocol;
  return platform.hosts.map((host) => `${scheme}//${host}/*`);
}

/** The match pattern of the pages in which a platform's requests are made and its messages seen. */
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
