/** The content of the options page and the toolbar button, and the actions of the page's buttons. */

const BADGES = {
  connected: { text: "on", color: "#1a7f37", title: "connected" },
  pairing: { text: "pair", color: "#9a6700", title: "waiting for pairing" },
};
const UNCONFIRMED_BADGE = { text: "ask", color: "#9a6700", title: "waiting for you to confirm a daemon without pairing" };
const OFF_BADGE = { text: "off", color: "#b42318", title: "disconnected" };
/** How long changes are collected before they are shown. */
const GATHER_MS = 100;

/** Publishes the state to the options page and the toolbar button. */
export class Panel {
  #env;
  #ports = new Set();
  #timer = null;

  /** @param {object} env the parts whose state is shown, `setAddress(address)` */
  constructor(env) {
    this.#env = env;
  }

  /** Schedules an update, because something that is shown changed. */
  changed() {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#publish();
    }, GATHER_MS);
  }

  /** Adds the port of an options page. */
  connected(port) {
    this.#ports.add(port);
    port.onDisconnect.addListener(() => this.#ports.delete(port));
    port.onMessage.addListener((message) => void this.#perform(port, message));
    port.postMessage({ state: this.state() });
  }

  /** Returns everything the page shows; never a credential's value. */
  state() {
    const { link, pairing, shells, credentials, templates, observer, failures, logbook, messages, proxy, system, clientId, defaultAddress } = this.#env;
    const drift = new Map(observer.drift.map((fields) => [fields.platform, fields.extractor_drift]));
    return {
      link: {
        state: link.state,
        note: link.note,
        code: link.code,
        address: link.address,
        is_unconfirmed: link.isUnconfirmed,
        paired_at: pairing.since(link.address),
        confirmed_at: pairing.confirmedSince(link.address),
        waiting_messages: messages.waiting,
      },
      client_id: clientId(),
      default_address: defaultAddress,
      running: proxy.running,
      system: system.state,
      platforms: shells.names.map((name) => {
        const { title, hosts, shell_url, prompt } = shells.platform(name);
        const login = credentials.login(name);
        const { endpoints } = credentials.endpoints(name);
        return {
          name,
          title,
          hosts,
          shell_url,
          login,
          endpoints: endpoints.length,
          drift: drift.get(name) ?? 0,
          template: prompt === "template" ? { known: templates.summary(name) } : null,
          failure: failures.get(name) ?? null,
          runtime: shells.runtime(name),
        };
      }),
      log: logbook.lines,
    };
  }

  #publish() {
    const { link, browser } = this.#env;
    const badge = link.isUnconfirmed ? UNCONFIRMED_BADGE : (BADGES[link.state] ?? OFF_BADGE);
    void browser.browserAction.setBadgeText({ text: badge.text });
    void browser.browserAction.setBadgeBackgroundColor({ color: badge.color });
    void browser.browserAction.setTitle({ title: `baa-conductor: ${badge.title}` });
    if (this.#ports.size === 0) return;
    const state = this.state();
    for (const port of this.#ports) port.postMessage({ state });
  }

  async #perform(port, { ask, platform, address, code }) {
    // Sent by the page without a click, so not answered.
    if (ask === "code_shown") return this.#env.link.codeShown(code);
    const { link, pairing, shells, tabs, templates, report, system, setAddress, logbook } = this.#env;
    const as = { action: ask, source: "options", reason: "options_page" };
    try {
      let ok = true;
      let results = [];
      if (ask === "tab_open" || ask === "tab_focus") results = await tabs.open(platform, { ...as, focus: ask === "tab_focus" });
      else if (ask === "tab_reload") results = await tabs.reload(platform, as);
      else if (ask === "tab_restore") results = await tabs.restore(platform, as);
      else if (ask === "request_credentials") report.reportAll(platform ? [platform] : shells.names);
      else if (ask === "forget_template") await templates.forget(platform);
      else if (ask === "forget_pairing") {
        await pairing.forget(link.address);
        link.reconnect("the pairing was removed");
      } else if (ask === "confirm_unpaired") {
        // Only the daemon that the user was shown is confirmed.
        ok = link.isUnconfirmed && address === link.address;
        if (ok) {
          await pairing.confirm(address);
          link.reconnect("a daemon without pairing was confirmed");
        }
      } else if (ask === "withdraw_unpaired") {
        await pairing.withdraw(link.address);
        link.reconnect("the confirmation was withdrawn");
      } else if (ask === "ws_reconnect") link.reconnect("requested on the options page");
      else if (ask === "pause" || ask === "resume" || ask === "drain") ok = await system.request(ask);
      else if (ask === "set_address") ok = await setAddress(address);
      for (const result of [results].flat().filter((each) => !each.ok)) {
        ok = false;
        logbook.add("warn", `${ask} of ${result.platform} failed: ${result.skipped ?? "tab_unavailable"}.`);
      }
      port.postMessage({ done: ask, platform, ok });
    } catch (error) {
      logbook.add("error", `${ask} failed: ${error?.name ?? "Error"}.`);
      port.postMessage({ done: ask, platform, ok: false });
    }
  }
}
