/** What is done to the shell tabs: opened without stealing the focus, loaded anew, and opened again when asked to. */
import { isShellPage, isShellSender } from "./shell.js";

/** How long a tab may take to become ready for a request. */
export const READY_MAX_MS = 20_000;
/** How long an action waits for it: the daemon asks for an answer within 10 s. */
const ACTION_MAX_MS = 8_000;
/** How often it is asked whether a tab whose page is there is shown by Firefox as such. */
const TAB_STATE_TRIES = 50;

/** What of the browser's session tells that the extension ran in it before. */
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

  /** Opens the shell tab, or takes the one there is; `focus` alone brings it to the front. */
  async open(name, { action, source = "daemon", reason, focus = false }) {
    const platform = this.#shells.platform(name);
    await this.#shells.want(platform, { action, source, reason });
    if (!this.#shells.permits(name)) return this.#result(name, false, { skipped: "permission_missing" });
    const { opened, page } = await this.#ensurePage(platform, ACTION_MAX_MS);
    if (focus) await this.#focus(platform);
    if (page !== null) await this.#awaitTabState(name, page.tabId);
    // To look at a tab, as to log in, it need not be usable.
    return this.#result(name, true, { restored: opened }, focus);
  }

  /** Loads the shell tab anew; opens it when there is none. */
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

  /** Opens again what is wanted and missing: of one platform, which is wanted from then on, or of all. */
  async restore(name, { action, reason }) {
    const wanted = name ? [name] : this.#shells.names.filter((each) => this.#shells.desired(this.#shells.platform(each)).exists);
    // All at once: each may take as long as the daemon waits for the answer.
    return Promise.all(
      wanted.map((each) => {
        const { drift, actual } = this.#shells.runtime(each);
        if (drift.aligned && actual.healthy) return this.#result(each, true, { skipped: "already_there" });
        return this.open(each, { action, reason });
      }),
    );
  }

  /** At the browser's start: what was wanted and not closed on purpose is opened again, without waiting for it. */
  async restoreAtStart() {
    // Empty when the browser has just started, or the extension was just installed, also as a temporary one.
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
   * The page of a platform, for a request. Opens it when it is not there and waits, but not for ever.
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

  /** Makes sure there is a usable tab and waits for its page. Those who come meanwhile share the work. */
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

  /** Settles a platform's tab; never twice at once. */
  #ensureTab(platform) {
    const name = platform.platform;
    if (!this.#ensuring.has(name)) {
      this.#ensuring.set(name, this.#findOrOpen(platform).finally(() => this.#ensuring.delete(name)));
    }
    return this.#ensuring.get(name);
  }

  /** Finds, adopts, revives or opens the tab. A tab that the user took elsewhere is the user's, and left alone. */
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
      // Discarded, crashed, or loaded before the extension was: loading it brings it back.
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

  /** Waits until another page than `before` is in the tab. */
  async #awaitNewPage(tabId, before) {
    const until = this.#now() + ACTION_MAX_MS;
    while (this.#pages.port(tabId) === before && before !== undefined && this.#now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await this.#pages.wait(tabId, Math.max(0, until - this.#now()));
  }

  /** Firefox may tell of a tab's new address only after its page is there. */
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
