/** The latest log lines, for the options page. No caller has access to a credential's value. */

/** Most lines, and most characters of one. */
export const LINES_MAX = 200;
const LINE_MAX = 500;

/** A bounded log. */
export class Log {
  #lines = [];
  #now;
  #changed;

  constructor({ now, changed = () => {} }) {
    this.#now = now;
    this.#changed = changed;
  }

  /** Adds a line; `level` is `info`, `warn` or `error`. */
  add(level, message) {
    this.#lines.push({ at: this.#now(), level, message: String(message).slice(0, LINE_MAX) });
    if (this.#lines.length > LINES_MAX) this.#lines.splice(0, this.#lines.length - LINES_MAX);
    this.#changed();
  }

  /** The lines, oldest first. */
  get lines() {
    return [...this.#lines];
  }
}
