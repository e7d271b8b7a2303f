/** Actions on the shell tabs: open in the background, focus, reload, restore. */
import { isShellPage, isShellSender } from "./shell.js";

/** How long a tab may take to become ready for a request. */
export const READY_MAX_MS = 20_000;
/** How long an action waits for it; the daemon expects an answer within 10 s. */
const ACTION_MAX_MS = 8_000;
/** Most reads of a tab's state until Firefox reports a page that is ready. */
const TAB_STATE_TRIES = 50;

/** Key of the session storage that marks that the extension ran in this session before. */
const STARTED = "started";

/** The actions on shell tabs. */
export class TabActions {
  #browser;
  #pages;
  #shells;
  #now;
  #log;
  #ensuring = new Map();

  /** @param {object} env `browser`, `pages`, `shells`, `now`, `log(level, message)` */
  constructor({ browser, pages, shells, now, log }) {
    this.#browser = browser;
    this.#pages = pages;
    this.#shells = shells;
    this.#now = now;
    this.#log = log;
  }

  /** Opens the shell tab, or uses an open one; brings it to the front only with `focus`. */
  async open(name, { action, source = "daemon", reason, focus = false }) {
    const platform = this.#shells.platform(name);
    await this.#shells.want(platform, { action, source, reason });
    if (!this.#shells.permits(name)) return this.#result(name, false, { skipped: "permission_missing" });
    const { opened, page } = await this.#ensurePage(platform, ACTION_MAX_MS);
    if (focus) await this.#focus(platform);
    if (page !== null) await this.#awaitTabState(name, page.tabId);
    // To be shown, for example for a login, a tab need not be usable.
    return this.#result(name, true, { restored: opened }, focus);
  }

  /** Reloads the shell tab; opens it if there is none. */
  async reload(name, { action, reason }) {
    const platform = this.#shells.platform(name);
    const tab = this.#shells.tab(platform);
    if (tab === undefined || !isShellPage(platform, tab.url)) return this.open(name, { action, reason });
    await this.#shells.want(platform, { action, source: "daemon", reason });
    const gone = this.#pages.port(tab.id);
    await this.#browser.tabs.reload(tab.id);
    await this.#awaitNewPage(tab.id, gone);
    if (this.#shells.port(platform, tab.id) !== undefined) await this.#awaitTabState(name, tab.id);
    return this.#result(name, true, {});
  }

  /** Restores the tab of one platform, which becomes desired, or all desired tabs. */
  async restore(name, { action, reason }) {
    const wanted = name ? [name] : this.#shells.names.filter((each) => this.#shells.desired(this.#shells.platform(each)).exists);
    // In parallel, because each may take as long as the daemon waits for the answer.
    return Promise.all(
      wanted.map((each) => {
        const { drift, actual } = this.#shells.runtime(each);
        if (drift.aligned && actual.healthy) return this.#result(each, true, { skipped: "already_there" });
        return this.open(each, { action, reason });
      }),
    );
  }

  /** Opens the desired tabs that the user did not close, at the start of the browser; does not wait for their pages. */
  async restoreAtStart() {
    // The session storage is empty after a start of the browser and after an installation.
    const { session } = this.#browser.storage;
    if ((await session.get(STARTED))[STARTED] !== undefined) return;
    await session.set({ [STARTED]: true });
    for (const name of this.#shells.names) {
      const platform = this.#shells.platform(name);
      const { exists, closed } = this.#shells.desired(platform);
      if (!exists || closed || !this.#shells.permits(name) || this.#shells.runtime(name).drift.aligned) continue;
      this.#log("info", `Restoring the tab of ${name}.`);
      await this.#ensureTab(platform).catch(() => this.#log("warn", `The tab of ${name} could not be restored.`));
    }
  }

  /**
   * Returns the page of a platform for a request; opens it if needed and waits up to `READY_MAX_MS`.
   * @returns {Promise<{tabId: number, port: object} | null>}
   */
  async page(name) {
    const platform = this.#shells.platform(name);
    if (platform === undefined || !this.#shells.permits(name)) return null;
    const tab = this.#shells.tab(platform);
    const port = tab && this.#shells.port(platform, tab.id);
    if (port !== undefined && isShellPage(platform, tab.url)) return { tabId: tab.id, port };
    if (!this.#shells.desired(platform).exists) await this.#shells.want(platform, { action: "request", source: "request", reason: "request" });
    return (await this.#ensurePage(platform, READY_MAX_MS)).page;
  }

  /** Ensures that there is a tab, and waits for its page. Concurrent calls share the tab. */
  async #ensurePage(platform, ms) {
    const name = platform.platform;
    const { tabId, opened } = await this.#ensureTab(platform);
    const port = await this.#pages.wait(tabId, ms, (each) => isShellSender(platform, each.sender));
    if (port === undefined) {
      this.#shells.notReady(platform);
      this.#log("warn", `The tab of ${name} did not become ready.`);
    }
    return { opened, page: port === undefined ? null : { tabId, port } };
  }

  /** Finds or opens a platform's tab; concurrent calls share one run. */
  #ensureTab(platform) {
    const name = platform.platform;
    if (!this.#ensuring.has(name)) {
      this.#ensuring.set(name, this.#findOrOpen(platform).finally(() => this.#ensuring.delete(name)));
    }
    return this.#ensuring.get(name);
  }

  /** Finds, adopts, reloads or opens the tab. A tab that the user navigated to another site is left alone. */
  async #findOrOpen(platform) {
    const issue = this.#shells.issue(platform);
    let tab = this.#shells.tab(platform);
    let opened = false;
    if (tab === undefined || issue === "navigated_away") {
      if (!this.#shells.adopt(platform)) {
        this.#shells.take(platform, await this.#browser.tabs.create({ url: platform.shell_url, active: false }));
        opened = true;
      }
      tab = this.#shells.tab(platform);
    }
    const ready = this.#shells.port(platform, tab.id) !== undefined;
    if (!opened && !ready && tab.status !== "loading") {
      // A tab that was discarded, crashed, or loaded before the extension becomes usable by a reload.
      await this.#browser.tabs.reload(tab.id).catch(() => {});
      opened = true;
    }
    return { tabId: tab.id, opened };
  }

  async #focus(platform) {
    const tab = this.#shells.tab(platform);
    if (tab === undefined) return;
    await this.#browser.tabs.update(tab.id, { active: true });
    await this.#browser.windows.update(tab.windowId, { focused: true });
    await this.#shells.refresh(tab.id);
  }

  /** Waits until the tab has another page than `before`. */
  async #awaitNewPage(tabId, before) {
    const until = this.#now() + ACTION_MAX_MS;
    while (this.#pages.port(tabId) === before && before !== undefined && this.#now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await this.#pages.wait(tabId, Math.max(0, until - this.#now()));
  }

  /** Waits until Firefox reports the tab's new address, which may be after its page is ready. */
  async #awaitTabState(name, tabId) {
    for (let i = 0; i < TAB_STATE_TRIES && this.#shells.runtime(name)?.actual.issue === "loading"; i += 1) {
      await this.#shells.refresh(tabId);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  #result(name, done, more, isEnoughToExist = false) {
    const runtime = this.#shells.runtime(name);
    const { exists, healthy, issue } = runtime.actual;
    const ok = done && (isEnoughToExist ? exists : healthy);
    const skipped = ok ? undefined : issue === "none" ? "tab_unavailable" : issue;
    return { ok, platform: name, restored: false, skipped, ...more, shell_runtime: runtime, tab_id: runtime.actual.tab_id };
  }
}
