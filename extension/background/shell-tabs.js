/** The desired and actual state of the shell tabs, one per platform. The actions on them are in `tabs.js`. */
import { isOnPlatform } from "./hosts.js";
import { describe, isShellPage, isShellSender, issueOf } from "./shell.js";
import { DesiredTabs } from "./desired-tabs.js";

/** Time after which a loaded page that is not ready counts as stuck. */
const READY_TIMEOUT_MS = 8_000;
/** Time in which a tab whose page went away must have another one; otherwise it crashed. */
const CRASH_MS = 1_000;

/** The shell tabs of all platforms. */
export class ShellTabs {
  #browser;
  #pages;
  #now;
  #changed;
  #setTimeout;
  #platforms = [];
  #permitted = new Set();
  #desiredTabs;
  #shells = new Map();
  #tabs = new Map();

  /** @param {object} env `browser`, `pages`, `now`, `changed(platform)`, `later(work, ms)` */
  constructor({ browser, pages, now, changed, later = (work, ms) => setTimeout(work, ms) }) {
    this.#setTimeout = later;
    this.#browser = browser;
    this.#pages = pages;
    this.#now = now;
    this.#changed = changed;
    this.#desiredTabs = new DesiredTabs(browser.storage.local, now);
  }

  /** Reads the desired tabs and the open tabs, and listens to changes. */
  async start() {
    const { tabs } = this.#browser;
    tabs.onCreated.addListener((tab) => this.#tabChanged(tab));
    tabs.onUpdated.addListener((id, change, tab) => this.#tabChanged(tab, change));
    tabs.onRemoved.addListener((id, info) => this.#tabRemoved(id, info));
    tabs.onActivated.addListener(({ tabId, previousTabId }) => {
      for (const id of [tabId, previousTabId]) if (this.#tabs.has(id)) void this.refresh(id);
    });
    await this.#desiredTabs.load();
    for (const tab of await tabs.query({})) this.#tabs.set(tab.id, tab);
  }

  /** Sets the registry and the names of the permitted platforms. */
  setPlatforms(platforms, permitted) {
    const before = this.#permittedPlatforms;
    this.#platforms = platforms;
    this.#permitted = new Set(permitted);
    // An open page still has the content scripts after its permission was revoked.
    const isOn = (some, port) => some.some((platform) => isOnPlatform(platform, port.sender.url ?? ""));
    this.#pages.drop((port) => isOn(before, port) && !isOn(this.#permittedPlatforms, port));
    for (const platform of platforms) {
      // A tab that the user closed stays closed until an action or a request needs it.
      const { tabId, lost } = this.#shell(platform);
      if (this.desired(platform).exists && tabId === undefined && lost === undefined) this.adopt(platform);
      this.#changed(platform.platform);
    }
  }

  /** Whether the extension has the permission for the platform. */
  permits(name) {
    return this.#permitted.has(name);
  }

  /** Returns the issue of a platform's tab; "none" if there is none. */
  issue(platform) {
    return issueOf(this.#state(platform));
  }

  get #permittedPlatforms() {
    return this.#platforms.filter((platform) => this.#permitted.has(platform.platform));
  }

  /** Returns the platform of that name. */
  platform(name) {
    return this.#platforms.find((platform) => platform.platform === name);
  }

  /** The names of all platforms. */
  get names() {
    return this.#platforms.map((platform) => platform.platform);
  }

  /** Returns `shell_runtime` of a platform. */
  runtime(name) {
    const platform = this.platform(name);
    return platform && describe(this.#state(platform));
  }

  /** Returns the cookie store of the shell tab, if there is a tab. */
  cookieStore(name) {
    const platform = this.platform(name);
    return platform && this.tab(platform)?.cookieStoreId;
  }

  /** Handles a page that became ready or went away. */
  pageChanged(tabId) {
    for (const [name, shell] of this.#shells) {
      if (shell.tabId !== tabId) continue;
      const platform = this.platform(name);
      if (platform && this.port(platform, tabId) !== undefined) {
        this.#ready(shell);
      } else if (this.#pages.port(tabId) === undefined) {
        void this.#checkCrash(tabId);
      } else {
        shell.begun = true;
      }
      this.#changed(name);
    }
  }

  /** Returns the desired state of a platform's tab. */
  desired(platform) {
    return this.#desiredTabs.get(platform.platform);
  }

  /** Makes a platform's tab desired; settles when that is stored. */
  want(platform, desired) {
    const stored = this.#desiredTabs.want(platform.platform, desired);
    this.#changed(platform.platform);
    return stored;
  }

  #shell(platform) {
    const name = platform.platform;
    const lost = this.desired(platform).closed ? "tab_closed" : undefined;
    if (!this.#shells.has(name)) this.#shells.set(name, { tabId: undefined, lost, crashed: false, begun: false, stuck: false });
    return this.#shells.get(name);
  }

  #ready(shell) {
    Object.assign(shell, { lastReadyAt: this.#now(), begun: true, crashed: false, stuck: false });
  }

  /** Returns a platform's tab as last reported by Firefox. */
  tab(platform) {
    return this.#tabs.get(this.#shell(platform).tabId);
  }

  /** Returns the port of a tab, if its page is of the platform's shell. */
  port(platform, tabId) {
    const port = this.#pages.port(tabId);
    return port !== undefined && isShellSender(platform, port.sender) ? port : undefined;
  }

  #candidate(platform) {
    const taken = this.#shell(platform).tabId;
    const fits = [...this.#tabs.values()].filter((tab) => tab.id !== taken && isShellPage(platform, tab.url));
    // Loaded tabs first, then the one used last.
    const rank = (tab) => (tab.discarded ? 0 : 1e15) + (tab.lastAccessed ?? 0);
    return fits.sort((a, b) => rank(b) - rank(a))[0];
  }

  #state(platform) {
    const shell = this.#shell(platform);
    const tab = this.tab(platform);
    const ready = tab !== undefined && this.port(platform, tab.id) !== undefined;
    const permitted = this.#permitted.has(platform.platform);
    return { ...shell, platform, desired: this.desired(platform), tab, ready, permitted, candidate: this.#candidate(platform) };
  }

  /** Adopts an open tab of the platform; returns false if there is none. */
  adopt(platform) {
    const candidate = this.#candidate(platform);
    if (candidate === undefined) return false;
    this.take(platform, candidate);
    return true;
  }

  /** Makes `tab` the platform's shell tab. */
  take(platform, tab) {
    const shell = this.#shell(platform);
    this.#tabs.set(tab.id, this.#tabs.get(tab.id) ?? tab);
    Object.assign(shell, { tabId: tab.id, lost: undefined, crashed: false, begun: false, stuck: false, lastSeenAt: this.#now() });
    void this.#desiredTabs.setClosed(platform.platform, false);
    if (tab.status === "complete") this.#checkReadyLater(platform, shell, tab.id);
    if (this.port(platform, tab.id) !== undefined) this.#ready(shell);
    this.#changed(platform.platform);
  }

  /** Notes that the page did not become ready in time. */
  notReady(platform) {
    this.#shell(platform).stuck = true;
    this.#changed(platform.platform);
  }

  /** Reads the current state of a tab from Firefox. */
  async refresh(tabId) {
    try {
      this.#tabChanged(await this.#browser.tabs.get(tabId));
    } catch {
      this.#tabRemoved(tabId);
    }
  }

  /** Decides after a page went away whether another one loads or its process crashed, by the tab's data. */
  async #checkCrash(tabId) {
    await this.refresh(tabId);
    const tab = this.#tabs.get(tabId);
    if (tab === undefined || tab.status === "loading" || tab.discarded) return;
    if ((await this.#pages.wait(tabId, CRASH_MS)) !== undefined) return;
    for (const [name, shell] of this.#shells) {
      const still = this.#tabs.get(tabId);
      if (shell.tabId !== tabId || still === undefined || still.status === "loading" || still.discarded) continue;
      const platform = this.platform(name);
      if (platform === undefined || !isShellPage(platform, still.url)) continue;
      shell.crashed = true;
      this.#changed(name);
    }
  }

  #tabChanged(tab, change) {
    const before = this.#tabs.get(tab.id);
    this.#tabs.set(tab.id, tab);
    for (const platform of this.#platforms) {
      const shell = this.#shell(platform);
      if (shell.tabId === tab.id) {
        shell.lastSeenAt = this.#now();
        if (change?.status === "loading") Object.assign(shell, { crashed: false, stuck: false });
        if (change?.status === "complete") this.#checkReadyLater(platform, shell, tab.id);
        this.#changed(platform.platform);
      } else if (shell.tabId === undefined && [tab, before].some((each) => each && isShellPage(platform, each.url))) {
        this.#changed(platform.platform);
      }
    }
  }

  /** Marks a loaded page as stuck if it is not ready after the timeout. */
  #checkReadyLater(platform, shell, tabId) {
    if (this.port(platform, tabId) !== undefined) return;
    this.#setTimeout(() => {
      if (shell.tabId !== tabId || this.#tabs.get(tabId)?.status !== "complete" || this.port(platform, tabId) !== undefined) return;
      shell.stuck = true;
      this.#changed(platform.platform);
    }, READY_TIMEOUT_MS);
  }

  #tabRemoved(tabId, { isWindowClosing = true } = {}) {
    const tab = this.#tabs.get(tabId);
    this.#tabs.delete(tabId);
    for (const platform of this.#platforms) {
      const shell = this.#shell(platform);
      if (shell.tabId === tabId) {
        Object.assign(shell, { tabId: undefined, lost: "tab_closed", crashed: false });
        // A window may close because the browser ends; then the tab is restored at the next start.
        if (!isWindowClosing) void this.#desiredTabs.setClosed(platform.platform, true);
        this.#changed(platform.platform);
      } else if (tab && isShellPage(platform, tab.url)) {
        this.#changed(platform.platform);
      }
    }
  }
}
