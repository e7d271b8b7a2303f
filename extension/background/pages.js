/** The pages that can be talked to: one port for each tab whose top frame runs our content scripts. */

/** The ports of the pages, by tab. */
export class Pages {
  #ports = new Map();
  #on;
  #waiting = new Set();

  /** @param {object} on what to tell: `ready(tabId)`, `gone(tabId, port)`, `message(tabId, port, message)` */
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
    port.onMessage.addListener((message) => this.#on.message(tabId, port, message));
    port.onDisconnect.addListener(() => {
      if (this.#ports.get(tabId) === port) this.#ports.delete(tabId);
      this.#on.gone(tabId, port);
    });
    this.#on.ready(tabId);
    for (const waiter of [...this.#waiting]) waiter(tabId);
  }

  /** The port of a tab, if its page is there. */
  port(tabId) {
    return this.#ports.get(tabId);
  }

  /**
   * Waits until the page of a tab is there.
   * @returns {Promise<object | undefined>} its port, or undefined when it did not come in time
   */
  wait(tabId, ms, setTimer = setTimeout, clearTimer = clearTimeout) {
    const port = this.#ports.get(tabId);
    if (port !== undefined) return Promise.resolve(port);
    return new Promise((resolve) => {
      const done = () => {
        clearTimer(timer);
        this.#waiting.delete(waiter);
        resolve(this.#ports.get(tabId));
      };
      const waiter = (id) => id === tabId && done();
      const timer = setTimer(done, ms);
      this.#waiting.add(waiter);
    });
  }
}
