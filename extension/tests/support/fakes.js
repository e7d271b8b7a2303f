/** A fake clock, socket and browser. */

/** Timers that run only in `pass`. */
export class Clock {
  #timers = new Map();
  #next = 1;
  at = 1_790_000_000_000;

  now = () => this.at;
  setTimeout = (work, ms = 0) => this.#add(work, ms, null);
  setInterval = (work, ms) => this.#add(work, ms, ms);
  clearTimeout = (id) => void this.#timers.delete(id);
  clearInterval = (id) => void this.#timers.delete(id);

  #add(work, ms, every) {
    const id = this.#next;
    this.#next += 1;
    this.#timers.set(id, { due: this.at + ms, work, every });
    return id;
  }

  /** Milliseconds until the next timer. */
  get next() {
    return Math.min(...[...this.#timers.values()].map(({ due }) => due)) - this.at;
  }

  /** Advances the time timer by timer, and settles promises in between. */
  async pass(ms) {
    const until = this.at + ms;
    for (;;) {
      const due = [...this.#timers.entries()].filter(([, timer]) => timer.due <= until);
      if (due.length === 0) break;
      const [id, timer] = due.reduce((a, b) => (b[1].due < a[1].due ? b : a));
      this.at = Math.max(this.at, timer.due);
      if (timer.every === null) this.#timers.delete(id);
      else timer.due += timer.every;
      timer.work();
      await settled();
    }
    this.at = until;
    await settled();
  }
}

/** Waits until pending promises are settled. */
export const settled = () => new Promise((resolve) => setImmediate(resolve));

/** A WebSocket whose peer is the test. */
export class FakeSocket {
  static all = [];
  readyState = 0;
  bufferedAmount = 0;
  sent = [];
  closed = null;

  constructor(url) {
    this.url = url;
    FakeSocket.all.push(this);
  }

  static get open() {
    return FakeSocket.all.filter((socket) => socket.readyState < 2);
  }

  static get last() {
    return FakeSocket.all.at(-1);
  }

  send(text) {
    this.sent.push(text);
  }

  close(code, reason) {
    this.closed = { code, reason };
    this.readyState = 3;
  }

  accept() {
    this.readyState = 1;
    this.onopen?.({});
  }

  say(frame) {
    this.onmessage?.({ data: typeof frame === "string" ? frame : JSON.stringify(frame) });
  }

  fail(code = 1006, reason = "") {
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }

  types() {
    return this.sent.map((text) => JSON.parse(text).type);
  }
}

/** An event of the browser. */
export class FakeEvent {
  #listeners = new Set();
  addListener(listener) {
    this.#listeners.add(listener);
  }
  removeListener(listener) {
    this.#listeners.delete(listener);
  }
  fire(...args) {
    for (const listener of this.#listeners) listener(...args);
  }
}

/** A storage area in memory. */
export function fakeStorage(start = {}) {
  const data = structuredClone(start);
  return {
    data,
    async get(keys) {
      const names = keys === null || keys === undefined ? Object.keys(data) : [keys].flat();
      return structuredClone(Object.fromEntries(names.filter((name) => name in data).map((name) => [name, data[name]])));
    },
    async set(values) {
      Object.assign(data, structuredClone(values));
    },
    async remove(keys) {
      for (const name of [keys].flat()) delete data[name];
    },
  };
}

/** A port of a page. */
export class FakePort {
  onMessage = new FakeEvent();
  onDisconnect = new FakeEvent();
  sent = [];
  name = "page";

  constructor(tabId, frameId = 0, url = "https://claude.ai/", origin = new URL(url).origin) {
    this.sender = { tab: { id: tabId }, frameId, url, origin };
  }

  disconnect() {
    this.isDisconnected = true;
  }

  postMessage(text) {
    this.sent.push(typeof text === "string" ? JSON.parse(text) : text);
  }
}

/** A browser with tabs. */
export function fakeBrowser({ stored = {}, session = {}, tabs: existing = [] } = {}) {
  const list = new Map(existing.map((tab) => [tab.id, tab]));
  let next = 100;
  const calls = [];
  const tabs = {
    onCreated: new FakeEvent(),
    onUpdated: new FakeEvent(),
    onRemoved: new FakeEvent(),
    onActivated: new FakeEvent(),
    async query() {
      return [...list.values()].map((tab) => ({ ...tab }));
    },
    async get(id) {
      if (!list.has(id)) throw new Error("no such tab");
      return { ...list.get(id) };
    },
    async create({ url, active }) {
      next += 1;
      const tab = { id: next, url: "about:blank", status: "loading", active, windowId: 1, discarded: false, hidden: false };
      calls.push(["create", url, active]);
      list.set(next, tab);
      tabs.onCreated.fire({ ...tab });
      return { ...tab, wanted: url };
    },
    async update(id, change) {
      calls.push(["update", id, change]);
      Object.assign(list.get(id), change);
      return { ...list.get(id) };
    },
    async reload(id) {
      calls.push(["reload", id]);
    },
    /** Changes a tab and fires Firefox's event. */
    change(id, change) {
      Object.assign(list.get(id), change);
      tabs.onUpdated.fire(id, change, { ...list.get(id) });
    },
    close(id, isWindowClosing = false) {
      list.delete(id);
      tabs.onRemoved.fire(id, { windowId: 1, isWindowClosing });
    },
  };
  const windows = {
    async update(id, change) {
      calls.push(["window", id, change]);
    },
  };
  return { tabs, windows, calls, storage: { local: fakeStorage(stored), session: fakeStorage(session) } };
}

/** The platforms of the tests. */
export const CLAUDE = {
  platform: "claude",
  title: "Claude",
  shell_url: "https://claude.ai/",
  hosts: ["claude.ai", "*.claude.ai"],
  modes: ["buffered", "sse"],
  final_message: "claude",
  credential_paths: ["/api/auth/*", "/v1/oauth/*"],
  prompt: "claude",
};
export const LOCAL = { platform: "app", title: "App", shell_url: "http://127.0.0.1:8080/", hosts: ["127.0.0.1"], modes: ["buffered"], final_message: "", prompt: "" };
