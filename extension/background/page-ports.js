/** The pages that can be talked to: one port for each tab whose top frame runs our content scripts. */

/** The ports of the pages, by tab. */
export class PagePorts {
  #ports = new Map();
  #on;
  #waiting = new Set();

  /**
   * @param {object} on what to tell: `ready(tabId)`, `gone(tabId, port)`, `message(tabId, port, text)` of the page's half,
   *   `typed(tabId, answer)` of the half that sees what is typed
   */
  constructor(on) {
    this.#on = on;
  }

  /** Takes a port that a content script opened. A newer page of the same tab replaces the older one. */
  connected(port) {
    const tabId = port.sender?.tab?.id;
    if (tabId === undefined || port.sender.frameId !== 0) return;
    const before = this.#ports.get(tabId);
    this.#ports.set(tabId, port);
    if (before !== undefined) this.#on.gone(tabId, before);
    port.onMessage.addListener((said) => {
      // Whatever is text may be of the page's own world.
      if (typeof said === "string") this.#on.message(tabId, port, said);
      else this.#on.typed(tabId, said);
    });
    port.onDisconnect.addListener(() => {
      if (this.#ports.get(tabId) === port) this.#ports.delete(tabId);
      this.#on.gone(tabId, port);
    });
    this.#on.ready(tabId);
    for (const waiter of [...this.#waiting]) waiter(tabId);
  }

  /** Ends the talk with the pages that `fits(port)`; what was under way there has failed. */
  drop(fits) {
    for (const [tabId, port] of [...this.#ports]) {
      if (!fits(port)) continue;
      this.#ports.delete(tabId);
      port.disconnect();
      this.#on.gone(tabId, port);
    }
  }

  /** The port of a tab, if its page is there. */
  port(tabId) {
    return this.#ports.get(tabId);
  }

  /**
   * Waits until a page that `fits(port)` is in a tab.
   * @returns {Promise<object | undefined>} its port, or undefined when it did not come in time
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
