/** The shell tabs: one per platform, opened without stealing the focus, watched, and opened again when asked to. */
import { owns } from "./hosts.js";
import { describe, isShellPage, issueOf } from "./shell.js";
import { Wishes } from "./wishes.js";

/** How long a tab may take to become ready for a request. */
export const READY_MAX_MS = 20_000;
/** How long an action waits for it: the daemon asks for an answer within 10 s. */
const ACTION_MAX_MS = 8_000;
/** How often it is asked whether a tab whose page is there is shown by Firefox as such. */
const SHOWN_TRIES = 50;

/** What of the browser's session tells that the extension ran in it before. */
const STARTED = "started";

/** The shell tabs of all platforms. */
export class Tabs {
  #browser;
  #pages;
  #now;
  #changed;
  #log;
  #later;
  #platforms = [];
  #permitted = new Set();
  #wishes;
  #shells = new Map();
  #known = new Map();
  #working = new Map();
  #atStart = false;

  /** @param {object} env `browser`, `pages`, `now`, `changed(platform)`, `log(level, message)`, `later(work, ms)` */
  constructor({ browser, pages, now, changed, log, later = (work, ms) => setTimeout(work, ms) }) {
    this.#later = later;
    this.#browser = browser;
    this.#pages = pages;
    this.#now = now;
    this.#changed = changed;
    this.#log = log;
    this.#wishes = new Wishes(browser.storage.local, now);
  }

  /** Reads what is wanted and what is there, and listens. */
  async start() {
    const { tabs } = this.#browser;
    tabs.onCreated.addListener((tab) => this.#saw(tab));
    tabs.onUpdated.addListener((id, change, tab) => this.#saw(tab, change));
    tabs.onRemoved.addListener((id, info) => this.#removed(id, info));
    tabs.onActivated.addListener(({ tabId, previousTabId }) => {
      for (const id of [tabId, previousTabId]) if (this.#known.has(id)) void this.#refresh(id);
    });
    await this.#wishes.load();
    // Empty when the browser has just started, or the extension was just installed, also as a temporary one.
    const { session } = this.#browser.storage;
    this.#atStart = (await session.get(STARTED))[STARTED] === undefined;
    await session.set({ [STARTED]: true });
    for (const tab of await tabs.query({})) this.#known.set(tab.id, tab);
  }

  /** Takes the registry and which of its platforms may be entered. */
  setPlatforms(platforms, permitted) {
    const before = this.#entered;
    this.#platforms = platforms;
    this.#permitted = new Set(permitted);
    // A page that is open when its permission is revoked still has our scripts.
    const isOn = (some, port) => some.some((platform) => owns(platform, port.sender.url ?? ""));
    this.#pages.drop((port) => isOn(before, port) && !isOn(this.#entered, port));
    for (const platform of platforms) {
      // One that was closed by hand stays closed until somebody asks for it.
      const { tabId, lost } = this.#shell(platform);
      if (this.#wish(platform).exists && tabId === undefined && lost === undefined) this.#adopt(platform);
      this.#changed(platform.platform);
    }
  }

  get #entered() {
    return this.#platforms.filter((platform) => this.#permitted.has(platform.platform));
  }

  /** The platform of that name. */
  platform(name) {
    return this.#platforms.find((platform) => platform.platform === name);
  }

  /** The names of all platforms. */
  get names() {
    return this.#platforms.map((platform) => platform.platform);
  }

  /** `shell_runtime` of one platform. */
  runtime(name) {
    const platform = this.platform(name);
    return platform && describe(this.#state(platform));
  }

  /** Which container the shell tab is in, if there is one. */
  cookieStore(name) {
    const platform = this.platform(name);
    return platform && this.#tab(platform)?.cookieStoreId;
  }

  /** A page became ready or went away. */
  pageChanged(tabId) {
    for (const [name, shell] of this.#shells) {
      if (shell.tabId !== tabId) continue;
      const platform = this.platform(name);
      if (platform && this.#port(platform, tabId) !== undefined) {
        this.#ready(shell);
      } else if (this.#pages.port(tabId) === undefined) {
        void this.#lookAfter(tabId);
      } else {
        shell.begun = true;
      }
      this.#changed(name);
    }
  }

  /** Opens the shell tab, or takes the one there is; `focus` alone brings it to the front. */
  async open(name, { action, source = "daemon", reason, focus = false }) {
    const platform = this.platform(name);
    await this.#want(platform, { action, source, reason });
    if (!this.#permitted.has(name)) return this.#result(name, false, { skipped: "permission_missing" });
    const { opened, page } = await this.#ensure(platform, ACTION_MAX_MS);
    if (focus) await this.#focus(platform);
    if (page !== null) await this.#shown(name, page.tabId);
    // To look at a tab, as to log in, it need not be usable.
    return this.#result(name, true, { restored: opened }, focus);
  }

  /** Loads the shell tab anew; opens it when there is none. */
  async reload(name, { action, reason }) {
    const platform = this.platform(name);
    const tab = this.#tab(platform);
    if (tab === undefined || !isShellPage(platform, tab.url)) return this.open(name, { action, reason });
    await this.#want(platform, { action, source: "daemon", reason });
    const gone = this.#pages.port(tab.id);
    await this.#browser.tabs.reload(tab.id);
    await this.#replaced(tab.id, gone);
    if (this.#port(platform, tab.id) !== undefined) await this.#shown(name, tab.id);
    return this.#result(name, true, {});
  }

  /** Opens again what is wanted and missing: of one platform, which is wanted from then on, or of all. */
  async restore(name, { action, reason }) {
    const wanted = name ? [name] : this.names.filter((each) => this.#wish(this.platform(each)).exists);
    // All at once: each may take as long as the daemon waits for the answer.
    return Promise.all(
      wanted.map((each) => {
        const { drift, actual } = this.runtime(each);
        if (drift.aligned && actual.healthy) return this.#result(each, true, { skipped: "already_there" });
        return this.open(each, { action, reason });
      }),
    );
  }

  /** At the browser's start: what was wanted and not closed on purpose is opened again, without waiting for it. */
  async restoreAtStart() {
    if (!this.#atStart) return;
    this.#atStart = false;
    for (const platform of this.#platforms) {
      const name = platform.platform;
      const { exists, closed } = this.#wish(platform);
      if (!exists || closed || !this.#permitted.has(name) || this.runtime(name).drift.aligned) continue;
      this.#log("info", `Restoring the tab of ${name}.`);
      await this.#work(platform).catch(() => this.#log("warn", `The tab of ${name} could not be restored.`));
    }
  }

  /**
   * The page of a platform, for a request. Opens it when it is not there and waits, but not for ever.
   * @returns {Promise<{tabId: number, port: object} | null>}
   */
  async page(name) {
    const platform = this.platform(name);
    if (platform === undefined || !this.#permitted.has(name)) return null;
    const tab = this.#tab(platform);
    const port = tab && this.#port(platform, tab.id);
    if (port !== undefined && isShellPage(platform, tab.url)) return { tabId: tab.id, port };
    if (!this.#wish(platform).exists) await this.#want(platform, { action: "request", source: "request", reason: "request" });
    return (await this.#ensure(platform, READY_MAX_MS)).page;
  }

  #wish(platform) {
    return this.#wishes.of(platform.platform);
  }

  #want(platform, wish) {
    const stored = this.#wishes.want(platform.platform, wish);
    this.#changed(platform.platform);
    return stored;
  }

  #shell(platform) {
    const name = platform.platform;
    const lost = this.#wish(platform).closed ? "tab_closed" : undefined;
    if (!this.#shells.has(name)) this.#shells.set(name, { tabId: undefined, lost, crashed: false, begun: false, stuck: false });
    return this.#shells.get(name);
  }

  #ready(shell) {
    Object.assign(shell, { lastReadyAt: this.#now(), begun: true, crashed: false, stuck: false });
  }

  #tab(platform) {
    return this.#known.get(this.#shell(platform).tabId);
  }

  /** The port of a tab's page if that is the platform's: what is asked for goes to nobody else. */
  #port(platform, tabId) {
    const port = this.#pages.port(tabId);
    return port !== undefined && isShellPage(platform, port.sender.url) ? port : undefined;
  }

  #candidate(platform) {
    const taken = this.#shell(platform).tabId;
    const fits = [...this.#known.values()].filter((tab) => tab.id !== taken && isShellPage(platform, tab.url));
    // One that is loaded first, and of those the one used last.
    const rank = (tab) => (tab.discarded ? 0 : 1e15) + (tab.lastAccessed ?? 0);
    return fits.sort((a, b) => rank(b) - rank(a))[0];
  }

  #state(platform) {
    const shell = this.#shell(platform);
    const tab = this.#tab(platform);
    const ready = tab !== undefined && this.#port(platform, tab.id) !== undefined;
    const permitted = this.#permitted.has(platform.platform);
    return { ...shell, platform, desired: this.#wish(platform), tab, ready, permitted, candidate: this.#candidate(platform) };
  }

  #adopt(platform) {
    const candidate = this.#candidate(platform);
    if (candidate === undefined) return false;
    this.#take(platform, candidate);
    return true;
  }

  #take(platform, tab) {
    const shell = this.#shell(platform);
    this.#known.set(tab.id, this.#known.get(tab.id) ?? tab);
    Object.assign(shell, { tabId: tab.id, lost: undefined, crashed: false, begun: false, stuck: false, lastSeenAt: this.#now() });
    void this.#wishes.closed(platform.platform, false);
    if (tab.status === "complete") this.#doubt(platform, shell, tab.id);
    if (this.#port(platform, tab.id) !== undefined) this.#ready(shell);
    this.#changed(platform.platform);
  }

  /** Makes sure there is a usable tab and waits for its page. Those who come meanwhile share the work. */
  async #ensure(platform, ms) {
    const name = platform.platform;
    const { tabId, opened } = await this.#work(platform);
    const port = await this.#pages.wait(tabId, ms, (each) => isShellPage(platform, each.sender.url));
    if (port === undefined) {
      this.#shell(platform).stuck = true;
      this.#changed(name);
      this.#log("warn", `The tab of ${name} did not become ready.`);
    }
    return { opened, page: port === undefined ? null : { tabId, port } };
  }

  /** Settles a platform's tab; never twice at once. */
  #work(platform) {
    const name = platform.platform;
    if (!this.#working.has(name)) {
      this.#working.set(name, this.#settle(platform).finally(() => this.#working.delete(name)));
    }
    return this.#working.get(name);
  }

  /** Finds, adopts, revives or opens the tab. A tab that the user took elsewhere is the user's, and left alone. */
  async #settle(platform) {
    const issue = issueOf(this.#state(platform));
    let tab = this.#tab(platform);
    let opened = false;
    if (tab === undefined || issue === "navigated_away") {
      if (!this.#adopt(platform)) {
        this.#take(platform, await this.#browser.tabs.create({ url: platform.shell_url, active: false }));
        opened = true;
      }
      tab = this.#tab(platform);
    }
    const ready = this.#port(platform, tab.id) !== undefined;
    if (!opened && !ready && tab.status !== "loading") {
      // Discarded, crashed, or loaded before the extension was: loading it brings it back.
      await this.#browser.tabs.reload(tab.id).catch(() => {});
      opened = true;
    }
    return { tabId: tab.id, opened };
  }

  async #focus(platform) {
    const tab = this.#tab(platform);
    if (tab === undefined) return;
    await this.#browser.tabs.update(tab.id, { active: true });
    await this.#browser.windows.update(tab.windowId, { focused: true });
    await this.#refresh(tab.id);
  }

  /** Waits until another page than `before` is in the tab. */
  async #replaced(tabId, before) {
    const until = this.#now() + ACTION_MAX_MS;
    while (this.#pages.port(tabId) === before && before !== undefined && this.#now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await this.#pages.wait(tabId, Math.max(0, until - this.#now()));
  }

  /** Firefox may tell of a tab's new address only after its page is there. */
  async #shown(name, tabId) {
    for (let i = 0; i < SHOWN_TRIES && this.runtime(name)?.actual.issue === "loading"; i += 1) {
      await this.#refresh(tabId);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  #result(name, done, more, isEnoughToExist = false) {
    const runtime = this.runtime(name);
    const { exists, healthy, issue } = runtime.actual;
    const ok = done && (isEnoughToExist ? exists : healthy);
    const skipped = ok ? undefined : issue === "none" ? "tab_unavailable" : issue;
    return { ok, platform: name, restored: false, skipped, ...more, shell_runtime: runtime, tab_id: runtime.actual.tab_id };
  }

  async #refresh(tabId) {
    try {
      this.#saw(await this.#browser.tabs.get(tabId));
    } catch {
      this.#removed(tabId);
    }
  }

  /** A page went away: did it only load another one, or did its process crash? Firefox shows that in the tab's data. */
  async #lookAfter(tabId) {
    await this.#refresh(tabId);
    const tab = this.#known.get(tabId);
    if (tab === undefined || tab.status === "loading" || tab.discarded) return;
    if ((await this.#pages.wait(tabId, 1_000)) !== undefined) return;
    for (const [name, shell] of this.#shells) {
      const still = this.#known.get(tabId);
      if (shell.tabId !== tabId || still === undefined || still.status === "loading" || still.discarded) continue;
      const platform = this.platform(name);
      if (platform === undefined || !isShellPage(platform, still.url)) continue;
      shell.crashed = true;
      this.#changed(name);
    }
  }

  #saw(tab, change) {
    const before = this.#known.get(tab.id);
    this.#known.set(tab.id, tab);
    for (const platform of this.#platforms) {
      const shell = this.#shell(platform);
      if (shell.tabId === tab.id) {
        shell.lastSeenAt = this.#now();
        if (change?.status === "loading") Object.assign(shell, { crashed: false, stuck: false });
        if (change?.status === "complete") this.#doubt(platform, shell, tab.id);
        this.#changed(platform.platform);
      } else if (shell.tabId === undefined && [tab, before].some((each) => each && isShellPage(platform, each.url))) {
        this.#changed(platform.platform);
      }
    }
  }

  /** A page that is loaded and does not become ready never will. */
  #doubt(platform, shell, tabId) {
    if (this.#port(platform, tabId) !== undefined) return;
    this.#later(() => {
      if (shell.tabId !== tabId || this.#known.get(tabId)?.status !== "complete" || this.#port(platform, tabId) !== undefined) return;
      shell.stuck = true;
      this.#changed(platform.platform);
    }, ACTION_MAX_MS);
  }

  #removed(tabId, { isWindowClosing = true } = {}) {
    const tab = this.#known.get(tabId);
    this.#known.delete(tabId);
    for (const platform of this.#platforms) {
      const shell = this.#shell(platform);
      if (shell.tabId === tabId) {
        Object.assign(shell, { tabId: undefined, lost: "tab_closed", crashed: false });
        // With its window it may go because the browser ends; then it is to come back.
        if (!isWindowClosing) void this.#wishes.closed(platform.platform, true);
        this.#changed(platform.platform);
      } else if (tab && isShellPage(platform, tab.url)) {
        this.#changed(platform.platform);
      }
    }
  }
}
