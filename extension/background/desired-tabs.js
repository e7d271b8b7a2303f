/** Which shell tabs are wanted, since when and why; kept in the browser's storage. */

const STORED = "desired";

/** The wished-for tabs, by platform. */
export class DesiredTabs {
  #storage;
  #now;
  #desired = {};
  #stored = Promise.resolve();

  constructor(storage, now) {
    this.#storage = storage;
    this.#now = now;
  }

  /** Reads what was wanted when the browser last ran. */
  async load() {
    this.#desired = { ...(await this.#storage.get(STORED))[STORED] };
  }

  /** What is wanted of a platform. */
  get(name) {
    return this.#desired[name] ?? { exists: false };
  }

  /** Its tab was closed on purpose, or is there again; settles when that is stored. */
  setClosed(name, closed) {
    if (!this.get(name).exists || (this.get(name).closed === true) === closed) return this.#stored;
    this.#desired[name] = { ...this.get(name), closed };
    return this.#store();
  }

  /** From now on its tab is wanted; settles when that is stored. */
  want(name, { action, source, reason }) {
    const before = this.get(name);
    const now = this.#now();
    const since = before.exists ? before : { source, reason: reason ?? action, updated_at: now };
    this.#desired[name] = { ...since, exists: true, closed: false, last_action: action, last_action_at: now };
    return this.#store();
  }

  #store() {
    // One write after the other, so that the last one wins.
    this.#stored = this.#stored.then(() => this.#storage.set({ [STORED]: this.#desired })).catch(() => {});
    return this.#stored;
  }
}
