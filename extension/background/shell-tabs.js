/** The shell tabs as they are and as they are wanted: one per platform, watched. What is done to them is in `tabs.js`. */
import { isOnPlatform } from "./hosts.js";
import { describe, isShellPage, isShellSender, issueOf } from "./shell.js";
import { DesiredTabs } from "./desired-tabs.js";

/** After how long a page that is loaded and not ready never will be. */
const READY_TIMEOUT_MS = 8_000;
/** How long a tab whose page went away may take to have another one before it crashed. */
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

  /** Reads what is wanted and what is there, and listens. */
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

  /** Takes the registry and which of its platforms may be entered. */
  setPlatforms(platforms, permitted) {
    const before = this.#permittedPlatforms;
    this.#platforms = platforms;
    this.#permitted = new Set(permitted);
    // A page that is open when its permission is revoked still has our scripts.
    const isOn = (some, port) => some.some((platform) => isOnPlatform(platform, port.sender.url ?? ""));
    this.#pages.drop((port) => isOn(before, port) && !isOn(this.#permittedPlatforms, port));
    for (const platform of platforms) {
      // One that was closed by hand stays closed until somebody asks for it.
      const { tabId, lost } = this.#shell(platform);
      if (this.desired(platform).exists && tabId === undefined && lost === undefined) this.adopt(platform);
      this.#changed(platform.platform);
    }
  }

  /** Whether the extension may enter it. */
  permits(name) {
    return this.#permitted.has(name);
  }

  /** What is wrong with its tab; "none" when nothing is. */
  issue(platform) {
    return issueOf(this.#state(platform));
  }

  get #permittedPlatforms() {
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
    return platform && this.tab(platform)?.cookieStoreId;
  }

  /** A page became ready or went away. */
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

  /** What is wanted of a platform. */
  desired(platform) {
    return this.#desiredTabs.get(platform.platform);
  }

  /** From now on its tab is wanted; settles when that is stored. */
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

  /** Its tab as Firefox last told of it. */
  tab(platform) {
    return this.#tabs.get(this.#shell(platform).tabId);
  }

  /** The port of a tab's page if that is the platform's: what is asked for goes to nobody else. */
  port(platform, tabId) {
    const port = this.#pages.port(tabId);
    return port !== undefined && isShellSender(platform, port.sender) ? port : undefined;
  }

  #candidate(platform) {
    const taken = this.#shell(platform).tabId;
    const fits = [...this.#tabs.values()].filter((tab) => tab.id !== taken && isShellPage(platform, tab.url));
    // One that is loaded first, and of those the one used last.
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

  /** Takes over an open tab of the platform. False when there is none. */
  adopt(platform) {
    const candidate = this.#candidate(platform);
    if (candidate === undefined) return false;
    this.take(platform, candidate);
    return true;
  }

  /** From now on that is its tab. */
  take(platform, tab) {
    const shell = this.#shell(platform);
    this.#tabs.set(tab.id, this.#tabs.get(tab.id) ?? tab);
    Object.assign(shell, { tabId: tab.id, lost: undefined, crashed: false, begun: false, stuck: false, lastSeenAt: this.#now() });
    void this.#desiredTabs.setClosed(platform.platform, false);
    if (tab.status === "complete") this.#checkReadyLater(platform, shell, tab.id);
    if (this.port(platform, tab.id) !== undefined) this.#ready(shell);
    this.#changed(platform.platform);
  }

  /** Its page did not become ready in time. */
  notReady(platform) {
    this.#shell(platform).stuck = true;
    this.#changed(platform.platform);
  }

  /** Asks Firefox how a tab is now. */
  async refresh(tabId) {
    try {
      this.#tabChanged(await this.#browser.tabs.get(tabId));
    } catch {
      this.#tabRemoved(tabId);
    }
  }

  /** A page went away: did it only load another one, or did its process crash? Firefox shows that in the tab's data. */
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

  /** A page that is loaded and does not become ready never will. */
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
        // With its window it may go because the browser ends; then it is to come back.
        if (!isWindowClosing) void this.#desiredTabs.setClosed(platform.platform, true);
        this.#changed(platform.platform);
      } else if (tab && isShellPage(platform, tab.url)) {
        this.#changed(platform.platform);
      }
    }
  }
}
