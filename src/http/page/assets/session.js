/**
 * The half of a session that only this page has: browsers show its cookie to every port of the host, but keep this for the
 * page's own origin, in which the port stands.
 */

const NAME = "baa-session-key";
const HEADER = "x-baa-session-key";

export class Session {
  #shelf;
  #random;

  /** `shelf()`: the origin's own storage, or an exception; `random(bytes)`: fills them. */
  constructor({ shelf, random }) {
    this.#shelf = shelf;
    this.#random = random;
  }

  /** What each request shows: nothing where there is no key. Asked anew each time, since another tab may have logged in. */
  headers() {
    const key = this.#read();
    return key === null ? {} : { [HEADER]: key };
  }

  /** A new key to begin a session with; `undefined` where none could be kept, so that the cookie has to do. */
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

  /** Keeps the key of the session that has begun. */
  begun(key) {
    try {
      if (key === undefined) this.#shelf().removeItem(NAME);
      else this.#shelf().setItem(NAME, key);
    } catch {
      // The next request is refused, and the page says that it is not logged in.
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
