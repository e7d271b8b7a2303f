/** Which shell tabs are desired, since when and why; kept in the browser's storage. */

const STORED = "desired";

/** The desired tabs, by platform. */
export class DesiredTabs {
  #storage;
  #now;
  #desired = {};
  #stored = Promise.resolve();

  constructor(storage, now) {
    this.#storage = storage;
    this.#now = now;
  }

  /** Reads what was stored before the browser ended. */
  async load() {
    this.#desired = { ...(await this.#storage.get(STORED))[STORED] };
  }

  /** Returns the desired state of a platform's tab. */
  get(name) {
    return this.#desired[name] ?? { exists: false };
  }

  /** Notes whether the user closed the tab; settles when that is stored. */
  setClosed(name, closed) {
    if (!this.get(name).exists || (this.get(name).closed === true) === closed) return this.#stored;
    this.#desired[name] = { ...this.get(name), closed };
    return this.#store();
  }

  /** Makes a platform's tab desired; settles when that is stored. */
  want(name, { action, source, reason }) {
    const before = this.get(name);
    const now = this.#now();
    const since = before.exists ? before : { source, reason: reason ?? action, updated_at: now };
    this.#desired[name] = { ...since, exists: true, closed: false, last_action: action, last_action_at: now };
    return this.#store();
  }

  #store() {
    // One write at a time, so that the last one wins.
    this.#stored = this.#stored.then(() => this.#storage.set({ [STORED]: this.#desired })).catch(() => {});
    return this.#stored;
  }
}
