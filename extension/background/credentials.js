/**
 * The login of each platform: header names, fingerprint, freshness, account, and the endpoints that its page uses. Read
 * from the page's own requests only. The headers that are replayed on proxied requests are kept here, in memory, and are
 * used for nothing else.
 */
import { isReplayed } from "./headers.js";
import { readLogin } from "./fingerprint.js";
import { isOnPlatform } from "./hosts.js";
import { isRequestOfShell, isShellPage } from "./shell.js";

/** Most endpoints and most replayed headers of one platform, and the longest such header. */
export const ENDPOINTS_MAX = 200;
export const HEADERS_MAX = 32;
const HEADER_CHARS_MAX = 16_384;
/** Most proxied requests that are expected at `webRequest`, and how long one is expected after its end. */
const EXPECTED_MAX = 1_024;
const EXPECTED_LATE_MS = 2_000;
const STORED = "salt";
/** Least time between reports of an unchanged login, so that not every request causes one. */
const SEEN_AGAIN_MS = 60_000;
/** The cookie store of tabs without a container. */
const DEFAULT_STORE = "firefox-default";

/** The logins of all platforms. */
export class Credentials {
  #env;
  #salt = "";
  #logins = new Map();
  #replayed = new Map();
  #expected = [];
  #proxied = new Set();
  #requests = 0;

  /** @param {object} env `browser`, `now`, `platformOf(url)`, `endpoint(method, url)`, `changed(platform, what)`,
   *   `cookieStore(platform)` of the shell tab if there is one, `sent(platform, details)` of the pages' own requests,
   *   `random()`, `setTimeout` */
  constructor(env) {
    this.#env = env;
  }

  /** Reads or creates the installation's salt. */
  async start() {
    const { storage } = this.#env.browser;
    const stored = (await storage.local.get(STORED))[STORED];
    this.#salt = typeof stored === "string" ? stored : this.#env.random();
    if (stored !== this.#salt) await storage.local.set({ [STORED]: this.#salt });
  }

  /** Listens to requests that match these patterns of the permitted platforms; replayed headers of others are dropped. */
  listen(urls, names) {
    this.#permitted = new Set(names);
    for (const name of this.#replayed.keys()) if (!this.#permitted.has(name)) this.#replayed.delete(name);
    const { onBeforeSendHeaders, onCompleted, onErrorOccurred } = this.#env.browser.webRequest;
    for (const [event, listener] of this.#listeners) event.removeListener(listener);
    this.#listeners = [];
    if (urls.length === 0) return;
    const types = ["main_frame", "xmlhttprequest"];
    const add = (event, listener, ...more) => {
      event.addListener(listener, { urls, types }, ...more);
      this.#listeners.push([event, listener]);
    };
    add(onBeforeSendHeaders, (details) => void this.requestStarted(details), ["requestHeaders"]);
    add(onCompleted, (details) => this.completed(details));
    add(onErrorOccurred, ({ requestId }) => this.#proxied.delete(requestId));
  }
  #listeners = [];
  #permitted = null;

  /** Announces a proxied request, which is then ignored here; returns a function that withdraws it. */
  expectProxied(tabId, method, url) {
    const entry = { tabId, method, url: url.split("#")[0] };
    this.#expected.push(entry);
    if (this.#expected.length > EXPECTED_MAX) this.#expected.shift();
    // The browser may report a request only after its answer.
    return () =>
      this.#env.setTimeout(() => {
        const at = this.#expected.indexOf(entry);
        if (at >= 0) this.#expected.splice(at, 1);
      }, EXPECTED_LATE_MS);
  }

  /** Handles a request that is about to be sent. */
  async requestStarted(details) {
    const { requestId, tabId, method, url, type, requestHeaders } = details;
    const platform = this.#platformOfPageRequest(details);
    if (this.#isProxied(requestId, tabId, method, url) || platform === undefined) return;
    this.#env.sent(platform, details);
    const headers = requestHeaders ?? [];
    if (type === "xmlhttprequest") this.#recordEndpoint(platform, method, url);
    this.#requests += 1;
    const order = this.#requests;
    // Other hosts have their own cookies.
    const found = isShellPage(platform, url) ? await readLogin(headers, this.#salt) : null;
    const isOld = found !== null && this.#recordLogin(platform, found, order) === false;
    // After #recordLogin, which drops the headers of a login that was replaced.
    if (type === "xmlhttprequest" && !isOld) this.#recordHeaders(platform, new URL(url).origin, headers);
  }

  /** Handles the answer to a request. */
  completed(details) {
    const { requestId, type, method, url, statusCode } = details;
    if (this.#proxied.delete(requestId) || type !== "xmlhttprequest") return;
    const platform = this.#platformOfPageRequest(details);
    if (platform !== undefined && isShellPage(platform, url)) this.#updateFreshness(platform.platform, this.#env.endpoint(method, url), statusCode);
  }

  /** Sets the freshness: 401 loses the login; a later success of the same endpoint restores it. */
  #updateFreshness(name, endpoint, status) {
    const login = this.#logins.get(name);
    if (login?.fingerprint === undefined) return;
    if (status === 401) {
      if (login.refusedAt.size < ENDPOINTS_MAX) login.refusedAt.add(endpoint);
      if (login.freshness === "lost") return;
      login.freshness = "lost";
      this.#replayed.delete(name);
    } else {
      if (status < 200 || status > 299 || !login.refusedAt.has(endpoint)) return;
      login.refusedAt.clear();
      login.freshness = "fresh";
    }
    this.#env.changed(name, "credentials");
  }

  /** Sets the account, which the page's own traffic showed. */
  setAccount(name, account) {
    const login = this.#login(name);
    // An e-mail address is not replaced by an id, which may be an organization's.
    if (login.account === account || (login.account?.includes("@") && !account.includes("@"))) return;
    // Another account of the same kind is another person's.
    if (login.account?.includes("@") === account.includes("@")) this.#replayed.delete(name);
    login.account = account;
    this.#env.changed(name, "credentials");
  }

  /** Returns the account of the login, if known. */
  account(name) {
    return this.#logins.get(name)?.account;
  }

  /** Returns the headers to add to a proxied request to `origin`. */
  replayedHeaders(name, origin) {
    return Object.fromEntries(this.#replayed.get(name)?.get(origin) ?? []);
  }

  /** Returns the fields of a `credentials` frame, or null if no login was seen. */
  login(name) {
    const login = this.#logins.get(name);
    if (login?.fingerprint === undefined) return null;
    return {
      platform: name,
      account: login.account,
      credential_fingerprint: login.fingerprint,
      freshness: login.freshness,
      captured_at: login.capturedAt,
      last_seen_at: login.lastSeenAt,
      header_names: login.names,
      timestamp: this.#env.now(),
    };
  }

  /** Returns the fields of an `api_endpoints` frame. */
  endpoints(name) {
    const login = this.#login(name);
    const seen = [...login.endpoints.entries()];
    return {
      platform: name,
      account: login.account,
      credential_fingerprint: login.fingerprint,
      updated_at: login.updatedAt ?? this.#env.now(),
      endpoints: seen.map(([endpoint]) => endpoint),
      endpoint_metadata: seen.map(([endpoint, times]) => {
        const space = endpoint.indexOf(" ");
        return { method: endpoint.slice(0, space), path: endpoint.slice(space + 1), ...times };
      }),
    };
  }

  #login(name) {
    if (!this.#logins.has(name)) this.#logins.set(name, { endpoints: new Map(), refusedAt: new Set(), names: [], order: 0 });
    return this.#logins.get(name);
  }

  /**
   * Returns the platform of a request of the shell's own pages with the shell tab's cookies; undefined for other requests,
   * because pages of the platform's other hosts could forge what is read.
   */
  #platformOfPageRequest(details) {
    const { tabId, method, url, type, cookieStoreId = DEFAULT_STORE } = details;
    const platform = this.#env.platformOf(url);
    // The browser's preflight requests (OPTIONS) have no login.
    if (platform === undefined || tabId < 0 || method === "OPTIONS") return undefined;
    if (cookieStoreId !== (this.#env.cookieStore(platform.platform) ?? DEFAULT_STORE)) return undefined;
    if (type === "main_frame") return platform;
    return isRequestOfShell(platform, details) ? platform : undefined;
  }

  #isProxied(requestId, tabId, method, url) {
    if (this.#proxied.has(requestId)) return true;
    const at = this.#expected.findIndex((own) => own.tabId === tabId && own.method === method && own.url === url.split("#")[0]);
    if (at < 0) return false;
    this.#expected.splice(at, 1);
    this.#proxied.add(requestId);
    return true;
  }

  /** Records the login of a request; returns false if a newer request was recorded already. */
  #recordLogin(platform, { names, kind, digest }, order) {
    const name = platform.platform;
    const login = this.#login(name);
    // Digests are asynchronous; an older request must not replace a newer one. Once the login is known to be a cookie, a
    // request without it is ignored.
    if (order < login.order) return false;
    if (login.kind === "cookie" && kind !== "cookie") return true;
    login.order = order;
    const now = this.#env.now();
    const known = new Set([...login.names, ...names]);
    const renewed = login.fingerprint !== digest;
    const news = renewed || known.size !== login.names.length || now - (login.reportedAt ?? 0) > SEEN_AGAIN_MS;
    login.kind = kind;
    login.lastSeenAt = now;
    if (renewed) {
      // Apps renew a login from time to time; after a lost one, the next may be another person's.
      if (login.freshness === "lost") login.account = undefined;
      this.#replayed.delete(name);
      Object.assign(login, { fingerprint: digest, capturedAt: now, freshness: "fresh", names });
      login.refusedAt.clear();
    } else {
      login.names = [...known].sort();
    }
    if (!news) return true;
    login.reportedAt = now;
    this.#env.changed(name, "credentials");
    return true;
  }

  #recordEndpoint(platform, method, url) {
    const name = platform.platform;
    const { endpoints } = this.#login(name);
    const endpoint = this.#env.endpoint(method, url);
    const now = this.#env.now();
    const known = endpoints.get(endpoint);
    if (known !== undefined) {
      known.last_seen_at = now;
      return;
    }
    if (endpoints.size >= ENDPOINTS_MAX) {
      const [oldest] = [...endpoints.entries()].reduce((a, b) => (b[1].last_seen_at < a[1].last_seen_at ? b : a));
      endpoints.delete(oldest);
    }
    endpoints.set(endpoint, { first_seen_at: now, last_seen_at: now });
    this.#login(name).updatedAt = now;
    this.#env.changed(name, "endpoints");
  }

  #recordHeaders(platform, origin, headers) {
    const name = platform.platform;
    if (!isOnPlatform(platform, origin) || this.#permitted?.has(name) === false || this.#logins.get(name)?.freshness === "lost") return;
    if (!this.#replayed.has(name)) this.#replayed.set(name, new Map());
    const origins = this.#replayed.get(name);
    if (!origins.has(origin)) origins.set(origin, new Map());
    const kept = origins.get(origin);
    for (const { name: header, value } of headers) {
      const lower = header.toLowerCase();
      if (!isReplayed(lower) || typeof value !== "string" || value.length > HEADER_CHARS_MAX) continue;
      if (kept.has(lower) || kept.size < HEADERS_MAX) kept.set(lower, value);
    }
  }
}
