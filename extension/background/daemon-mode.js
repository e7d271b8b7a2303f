/** The daemon's mode: as it was last shown, and changed on the word of whoever sits at the extension's page. */
import * as wire from "../wire.js";

/** What may be asked for, and how long the answer may take. */
const ACTIONS = new Set(["pause", "resume", "drain"]);
const ANSWER_MS = 10_000;

/** The mode of the daemon that is connected. */
export class DaemonMode {
  #env;
  #state = null;
  #pending = new Map();
  #number = 0;

  /** @param {object} env `send(frame)`, `isConnected()`, `setTimeout`, `clearTimeout`, `changed()` */
  constructor(env) {
    this.#env = env;
  }

  /** `{mode, changed_at, reason}` as the daemon told it last; null while nobody does. */
  get state() {
    return this.#state;
  }

  /** The daemon shows its mode. */
  modeReported(system) {
    if (typeof system?.mode !== "string") return;
    this.#state = { mode: system.mode, changed_at: system.changed_at, reason: system.reason ?? null };
    this.#env.changed();
  }

  /** The connection is gone: the mode is not known any more, and who waits will not be answered. */
  lost() {
    this.#state = null;
    for (const settle of [...this.#pending.values()]) settle(false);
    this.#env.changed();
  }

  /** Asks for a mode; resolves to whether it is in force now. */
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

  /** `action_result`: the daemon's answer. */
  actionAnswered({ request_id, ok, system }) {
    this.modeReported(system);
    this.#pending.get(request_id)?.(ok === true);
  }
}
