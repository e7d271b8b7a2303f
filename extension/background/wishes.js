/** Which shell tabs are wanted, since when and why; kept in the browser's storage. */

const STORED = "desired";

/** The wished-for tabs, by platform. */
export class Wishes {
  #storage;
  #now;
  #wishes = {};
  #stored = Promise.resolve();

  constructor(storage, now) {
    this.#storage = storage;
    this.#now = now;
  }

  /** Reads what was wanted when the browser last ran. */
  async load() {
    this.#wishes = { ...(await this.#storage.get(STORED))[STORED] };
  }

  /** What is wanted of a platform. */
  of(name) {
    return this.#wishes[name] ?? { exists: false };
  }

  /** Its tab was closed on purpose, or is there again; settles when that is stored. */
  closed(name, closed) {
    if (!this.of(name).exists || (this.of(name).closed === true) === closed) return this.#stored;
    this.#wishes[name] = { ...this.of(name), closed };
    return this.#store();
  }

  /** From now on its tab is wanted; settles when that is stored. */
  want(name, { action, source, reason }) {
    const before = this.of(name);
    const now = this.#now();
    const since = before.exists ? before : { source, reason: reason ?? action, updated_at: now };
    this.#wishes[name] = { ...since, exists: true, closed: false, last_action: action, last_action_at: now };
    return this.#store();
  }

  #store() {
    // One write after the other, so that the last one wins.
    this.#stored = this.#stored.then(() => this.#storage.set({ [STORED]: this.#wishes })).catch(() => {});
    return this.#stored;
  }
}
