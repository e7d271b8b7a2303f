/**
 * The session's key, which only this page has: browsers send the cookie to every port of the host, but keep this
 * storage for the page's own origin, which includes the port.
 */

const NAME = "baa-session-key";
const HEADER = "x-baa-session-key";

export class Session {
  #shelf;
  #random;

  /** `shelf()`: returns the origin's storage or throws; `random(bytes)`: fills them with random values. */
  constructor({ shelf, random }) {
    this.#shelf = shelf;
    this.#random = random;
  }

  /**
   * Returns the headers for each request; empty without a key. Read anew each time, since another tab may have logged
   * in.
   */
  headers() {
    const key = this.#read();
    return key === null ? {} : { [HEADER]: key };
  }

  /** Generates the key of a new session; `undefined` if it cannot be stored, so that the cookie alone has to suffice. */
  draw() {
    const key = Array.from(this.#random(new Uint8Array(32)), (byte) => byte.toString(16).padStart(2, "0")).join("");
    try {
      const shelf = this.#shelf();
      const trial = `${NAME}-trial`;
      shelf.setItem(trial, key);
      const isKept = shelf.getItem(trial) === key;
      shelf.removeItem(trial);
      return isKept ? key : undefined;
    } catch {
      return undefined;
    }
  }

  /** Stores the key of the session that has begun. */
  begun(key) {
    try {
      if (key === undefined) this.#shelf().removeItem(NAME);
      else this.#shelf().setItem(NAME, key);
    } catch {
      // The next request is refused, and the page shows that it is not logged in.
    }
  }

  #read() {
    try {
      return this.#shelf().getItem(NAME);
    } catch {
      return null;
    }
  }
}
