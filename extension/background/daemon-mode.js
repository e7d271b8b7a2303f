/** The daemon's mode: as last reported, and changed by the user on the options page. */
import * as wire from "../wire.js";

/** The possible actions, and how long the answer may take. */
const ACTIONS = new Set(["pause", "resume", "drain"]);
const ANSWER_MS = 10_000;

/** The mode of the connected daemon. */
export class DaemonMode {
  #env;
  #state = null;
  #pending = new Map();
  #number = 0;

  /** @param {object} env `send(frame)`, `isConnected()`, `setTimeout`, `clearTimeout`, `changed()` */
  constructor(env) {
    this.#env = env;
  }

  /** `{mode, changed_at, reason}` as last reported; null while disconnected. */
  get state() {
    return this.#state;
  }

  /** Takes the mode that the daemon reports. */
  modeReported(system) {
    if (typeof system?.mode !== "string") return;
    this.#state = { mode: system.mode, changed_at: system.changed_at, reason: system.reason ?? null };
    this.#env.changed();
  }

  /** Forgets the mode and fails pending requests, because the connection was lost. */
  lost() {
    this.#state = null;
    for (const settle of [...this.#pending.values()]) settle(false);
    this.#env.changed();
  }

  /** Requests a mode; resolves to whether it is in effect. */
  request(action) {
    if (!ACTIONS.has(action) || !this.#env.isConnected()) return Promise.resolve(false);
    this.#number += 1;
    const request_id = `mode-${this.#number}`;
    return new Promise((resolve) => {
      const timer = this.#env.setTimeout(() => settle(false), ANSWER_MS);
      const settle = (ok) => {
        this.#env.clearTimeout(timer);
        this.#pending.delete(request_id);
        resolve(ok);
      };
      this.#pending.set(request_id, settle);
      this.#env.send(wire.actionRequest({ action, request_id }));
    });
  }

  /** Handles `action_result`, the daemon's answer. */
  actionAnswered({ request_id, ok, system }) {
    this.modeReported(system);
    this.#pending.get(request_id)?.(ok === true);
  }
}
