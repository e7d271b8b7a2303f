/** Reports changes of logins, endpoints and tabs to the daemon, collected for a moment. */
import * as wire from "../wire.js";

/** How long changes are collected. */
export const GATHER_MS = 100;

/** The changes to report. */
export class Reporter {
  #env;
  #pending = new Map();
  #timer = null;

  /** @param {object} env `link`, `shells`, `credentials`, `templates`, `observer`, `setTimeout`, `changed()` */
  constructor(env) {
    this.#env = env;
  }

  /** Schedules a report of what changed about a platform: `credentials`, `endpoints` or `tab`. */
  changed(platform, what) {
    if (!this.#pending.has(platform)) this.#pending.set(platform, new Set());
    this.#pending.get(platform).add(what);
    this.#timer ??= this.#env.setTimeout(() => {
      this.#timer = null;
      this.#flush();
    }, GATHER_MS);
  }

  /** Reports everything about these platforms immediately. */
  reportAll(names) {
    for (const name of names) {
      this.#credentials(name);
      this.#endpoints(name);
    }
    for (const fields of this.#env.observer.drift) {
      if (names.includes(fields.platform)) this.#env.link.send(wire.platformStatus(fields));
    }
  }

  #flush() {
    const due = this.#pending;
    this.#pending = new Map();
    for (const [name, what] of due) {
      const isReported = what.has("credentials") && this.#credentials(name);
      if (!isReported || what.has("endpoints")) this.#endpoints(name);
    }
    this.#env.changed();
  }

  #credentials(name) {
    const login = this.#env.credentials.login(name);
    const runtime = this.#env.shells.runtime(name);
    if (login === null || runtime === undefined) return false;
    this.#env.link.send(wire.credentials({ ...login, shell_runtime: runtime }));
    return true;
  }

  #endpoints(name) {
    const runtime = this.#env.shells.runtime(name);
    if (runtime === undefined) return;
    const { credentials, templates, link } = this.#env;
    const prompt = { prompt_template: templates.usable(name), prompt_accepted: templates.isAccepted(name) };
    link.send(wire.apiEndpoints({ ...credentials.endpoints(name), ...prompt, shell_runtime: [runtime] }));
  }
}
