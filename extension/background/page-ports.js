/** The ports of pages: one for each tab whose top frame runs the content scripts. */

/** The ports of the pages, by tab. */
export class PagePorts {
  #ports = new Map();
  #on;
  #waiting = new Set();

  /**
   * @param {object} on callbacks: `ready(tabId)`, `gone(tabId, port)`, `message(tabId, port, text)` from `content/page.js`,
   *   `typed(tabId, answer)` from `content/typed.js`
   */
  constructor(on) {
    this.#on = on;
  }

  /** Adds a port that a content script opened. A newer page of the same tab replaces the older one. */
  connected(port) {
    const tabId = port.sender?.tab?.id;
    if (tabId === undefined || port.sender.frameId !== 0) return;
    const before = this.#ports.get(tabId);
    this.#ports.set(tabId, port);
    if (before !== undefined) this.#on.gone(tabId, before);
    port.onMessage.addListener((message) => {
      // Text comes from the page's world; objects come from the isolated script.
      if (typeof message === "string") this.#on.message(tabId, port, message);
      else this.#on.typed(tabId, message);
    });
    port.onDisconnect.addListener(() => {
      if (this.#ports.get(tabId) === port) this.#ports.delete(tabId);
      this.#on.gone(tabId, port);
    });
    this.#on.ready(tabId);
    for (const waiter of [...this.#waiting]) waiter(tabId);
  }

  /** Disconnects the ports that `fits(port)`; their requests fail. */
  drop(fits) {
    for (const [tabId, port] of [...this.#ports]) {
      if (!fits(port)) continue;
      this.#ports.delete(tabId);
      port.disconnect();
      this.#on.gone(tabId, port);
    }
  }

  /** Returns the port of a tab, if its page is ready. */
  port(tabId) {
    return this.#ports.get(tabId);
  }

  /**
   * Waits until a tab has a page that `fits(port)`.
   * @returns {Promise<object | undefined>} its port, or undefined after `ms`
   */
  wait(tabId, ms, fits = () => true) {
    const found = () => {
      const port = this.#ports.get(tabId);
      return port !== undefined && fits(port) ? port : undefined;
    };
    if (found() !== undefined) return Promise.resolve(found());
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#waiting.delete(waiter);
        resolve(found());
      };
      const waiter = (id) => id === tabId && found() !== undefined && done();
      const timer = setTimeout(done, ms);
      this.#waiting.add(waiter);
    });
  }
}
