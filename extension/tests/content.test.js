import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

const source = (file) => readFileSync(new URL(`../${file}`, import.meta.url), "utf8");
const until = async (holds) => {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
};

class FakeXhr extends EventTarget {
  responseType = "";
  status = 200;
  getResponseHeader() {
    return "application/json";
  }
}

const OWNERS = [ReadableStream, ReadableStreamDefaultReader, ReadableStreamBYOBReader].map(({ prototype }) => prototype);
const NATIVE = OWNERS.map((owner) => Object.getOwnPropertyDescriptors(owner));
/** The streams as they are before a page's half is there. */
const restored = () => OWNERS.forEach((owner, i) => Object.defineProperties(owner, NATIVE[i]));

/** A document before any script of the page has run. */
const fresh = () => Object.assign(new EventTarget(), { readyState: "loading", scripts: [] });

/** The page's half in a page whose network is `network`, and what it tells. */
function load(network) {
  restored();
  const doc = fresh();
  const window = { CustomEvent, AbortController, TextDecoder, URL, Request, Proxy, Object, Promise, fetch: network };
  const timers = [];
  window.setTimeout = (work) => timers.push(work);
  const Xhr = class extends FakeXhr {};
  Xhr.prototype.open = function open() {};
  Xhr.prototype.send = function send() {};
  const run = new Function("window", "document", "location", "XMLHttpRequest", source("content/page.js"));
  run(window, doc, { href: "https://claude.ai/chat/1" }, Xhr);
  const told = [];
  let alive = true;
  doc.addEventListener("secret-out", (event) => {
    if (!alive) return;
    event.preventDefault();
    told.push(JSON.parse(event.detail));
  });
  doc.dispatchEvent(new CustomEvent("baa-conductor-channel", { detail: "secret" }));
  const say = (message) => doc.dispatchEvent(new CustomEvent("secret-in", { detail: JSON.stringify(message) }));
  const kinds = () => told.map(({ t }) => t);
  return { window, doc, told, say, kinds, Xhr, timers, die: () => (alive = false) };
}

const stream = (pieces, more = {}) =>
  new Response(
    new ReadableStream({
      start(controller) {
        for (const piece of pieces) controller.enqueue(new TextEncoder().encode(piece));
        if (!more.open) controller.close();
      },
      cancel: more.cancel,
    }),
    { headers: { "content-type": "text/event-stream", "x-request-id": "1", "x-secret": "no", "set-cookie": "a=b" } },
  );

const FETCH = { t: "fetch", id: "r", url: "https://claude.ai/api/x", method: "POST", headers: { "x-a": "1" }, body: "{}", max: 0 };

test("a request is made as the page would make it, and only allowed headers come back", async () => {
  const calls = [];
  const { say, told, kinds } = load(async (url, options) => (calls.push([url, options]), stream(["a", "b"])));
  say(FETCH);
  await until(() => kinds().includes("end"));
  const [[url, { method, credentials, body, headers }]] = calls;
  assert.deepEqual([url, method, credentials, body, { ...headers }], ["https://claude.ai/api/x", "POST", "include", "{}", { "x-a": "1" }]);
  assert.deepEqual(told[0].headers, { "content-type": "text/event-stream", "x-request-id": "1" });
  assert.equal(told.filter(({ t }) => t === "chunk").map(({ text }) => text).join(""), "ab");
});

test("characters cut in two are put together", async () => {
  const bytes = new TextEncoder().encode("é€😀");
  const body = new ReadableStream({
    start(controller) {
      for (const byte of bytes) controller.enqueue(new Uint8Array([byte]));
      controller.close();
    },
  });
  const { say, told, kinds } = load(async () => new Response(body));
  say(FETCH);
  await until(() => kinds().includes("end"));
  assert.equal(told.map(({ text }) => text ?? "").join(""), "é€😀");
});

test("a failure tells its kind and nothing of its text; too much is too large", async () => {
  const failing = load(async () => {
    throw new TypeError("with a SECRET in it");
  });
  failing.say(FETCH);
  await until(() => failing.kinds().includes("fail"));
  assert.deepEqual(failing.told, [{ t: "fail", id: "r", code: "fetch_failed", message: "TypeError in the page" }]);
  const large = load(async () => stream(["x".repeat(100), "x".repeat(100)]));
  large.say({ ...FETCH, max: 150 });
  await until(() => large.kinds().includes("fail"));
  assert.equal(large.told.at(-1).code, "response_too_large");
});

test("a redirect is not followed, wherever it leads", async () => {
  const before = Object.getOwnPropertyDescriptor(Response.prototype, "type");
  const redirects = new WeakSet();
  // Only a browser makes these.
  const get = function () {
    return redirects.has(this) ? "opaqueredirect" : before.get.call(this);
  };
  Object.defineProperty(Response.prototype, "type", { configurable: true, get });
  const asked = [];
  const { say, told, kinds } = load(async (url, { redirect }) => {
    asked.push(redirect);
    const response = new Response(null);
    redirects.add(response);
    return response;
  });
  Object.defineProperty(Response.prototype, "type", before);
  say(FETCH);
  await until(() => kinds().includes("fail"));
  assert.deepEqual(asked, ["manual"]);
  assert.deepEqual(kinds(), ["fail"]);
  assert.equal(told[0].code, "host_not_allowed");
  assert.match(told[0].message, /redirect/);
});

test("the page reads no further than it was told was taken, and an abort ends the waiting", async () => {
  let pulled = 0;
  const piece = new Uint8Array(100_000).fill(120);
  const network = async (url, { signal }) => {
    const body = new ReadableStream({
      start: (controller) => signal.addEventListener("abort", () => controller.error(signal.reason)),
      pull(controller) {
        pulled += 1;
        controller.enqueue(piece);
      },
    });
    return new Response(body);
  };
  const { say, told } = load(network);
  say(FETCH);
  await until(() => pulled >= 6);
  for (let i = 0; i < 50; i += 1) await new Promise((resolve) => setImmediate(resolve));
  assert.ok(pulled <= 8, `${pulled}`);
  const chunks = told.filter(({ t }) => t === "chunk").length;
  say({ t: "ack", id: "r", n: 300_000 });
  await until(() => told.filter(({ t }) => t === "chunk").length > chunks);
  for (let i = 0; i < 50; i += 1) await new Promise((resolve) => setImmediate(resolve));
  say({ t: "abort", id: "r" });
  await until(() => told.at(-1).t === "fail");
});

test("the page's own requests are its own: same answer, looked at only when that is wanted", async () => {
  const { window, say, told, kinds } = load(async () => stream(["data: 1\n\n"]));
  const page = window.fetch("/completion", { method: "post", body: "prompt" });
  const response = await page;
  assert.equal(await response.text(), "data: 1\n\n");
  await until(() => kinds().includes("seen"));
  const { n, method, url, page: href } = told[0];
  assert.deepEqual([method, url, href], ["POST", "https://claude.ai/completion", "https://claude.ai/chat/1"]);
  assert.ok(!JSON.stringify(told).includes("prompt"), "nothing but the address before it is wanted");
  say({ t: "watch", n });
  await until(() => kinds().includes("watched_end"));
  assert.deepEqual(told.slice(1), [
    { t: "watched", n, body: "prompt" },
    { t: "watched_text", n, text: "data: 1\n\n" },
    { t: "watched_end", n, complete: true },
  ]);
  await window.fetch("/other");
  await until(() => kinds().filter((t) => t === "seen").length === 2);
  say({ t: "skip", n: told.at(-1).n });
  for (let i = 0; i < 20; i += 1) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(kinds().at(-1), "seen");
});

test("what the page puts on the prototypes of all objects sees nothing of ours and changes nothing", async () => {
  const seen = [];
  const look = (self, name) => {
    // What is ours; node's own parts use these too.
    if (self && (self.t !== undefined || self.headers?.authorization || self.detail)) seen.push(name);
  };
  // Node's own parts run them too; it counts who called.
  const ours = (name) => /eval at load|at network/.exec(new Error().stack.split("\n").slice(3, 5).join()) && seen.push(name);
  // What the browser does with the options it is given.
  const network = async (url, options) => {
    void [options.integrity, options.cache, options.headers[Symbol.iterator]];
    return stream(["hello"]);
  };
  const { told, kinds, doc } = load(network);
  const request = JSON.stringify({ ...FETCH, headers: { authorization: "SECRET" }, body: undefined });
  const incoming = new CustomEvent("secret-in", { detail: request });
  const over = new Promise((resolve) => {
    const timer = setInterval(() => kinds().includes("end") && resolve(clearInterval(timer)), 2);
  });
  Object.defineProperty(over, "constructor", { value: Promise });
  const hooks = ["body", "integrity", "cache", "toJSON", "bubbles", "composed", "passive", "signal", "then", "id"];
  const { exec } = RegExp.prototype;
  const { constructor, then } = Promise.prototype;
  const { apply } = Reflect;
  try {
    for (const name of hooks) {
      Object.defineProperty(Object.prototype, name, {
        configurable: true,
        get() {
          look(this, name);
          // The event's options have nothing but these two of their own.
          if (Object.keys(this).join() === "cancelable,detail") seen.push(`event ${name}`);
          if (name === "then" && this instanceof Response) seen.push("response");
          return name === "toJSON" && this.t === "chunk" ? () => ({ t: "chunk", id: this.id, text: "FORGED" }) : undefined;
        },
        set(value) {
          look(this, name);
          Object.defineProperty(this, name, { value, configurable: true, enumerable: true, writable: true });
        },
      });
    }
    Object.defineProperty(Object.prototype, Symbol.iterator, { configurable: true, get: () => void ours("iterator") });
    RegExp.prototype.exec = function (text) {
      if (text === "content-type" || text === "text/event-stream") seen.push(`exec ${text}`);
      return apply(exec, this, [text]);
    };
    Promise.prototype.then = function (take, ...more) {
      const taken = (value) => {
        if (value instanceof Response) seen.push("promise");
        return take?.(value);
      };
      return apply(then, this, [taken, ...more]);
    };
    Object.defineProperty(Promise.prototype, "constructor", { configurable: true, get: () => class extends Promise {} });
    doc.dispatchEvent(incoming);
    await over;
  } finally {
    for (const name of [...hooks, Symbol.iterator]) delete Object.prototype[name];
    RegExp.prototype.exec = exec;
    Promise.prototype.then = then;
    Object.defineProperty(Promise.prototype, "constructor", { value: constructor, configurable: true, writable: true });
  }
  assert.deepEqual([...new Set(seen)], []);
  assert.deepEqual(kinds(), ["head", "chunk", "end"]);
  assert.equal(told[1].text, "hello");
});

test("whatever happens to an answer that may be watched, the background hears of its end and nothing is kept", async () => {
  const ended = ({ told }) => told.filter(({ t }) => t === "watched_end").map(({ n, complete }) => [n, complete]);
  let dropped = 0;
  const endless = () => stream(["a"], { open: true, cancel: () => (dropped += 1) });
  const late = load(async () => endless());
  const answer = await late.window.fetch("/a");
  await until(() => late.kinds().includes("seen"));
  for (const timer of late.timers) timer();
  await until(() => late.kinds().includes("watched_end"));
  assert.deepEqual(ended(late), [[1, false]]);
  late.say({ t: "watch", n: 1 });
  late.say({ t: "skip", n: 1 });
  assert.deepEqual(ended(late), [[1, false], [1, false]]);
  await answer.body.cancel();
  assert.equal(dropped, 1);

  const broken = load(async () => endless());
  const request = new Request("https://claude.ai/a", { method: "POST", body: "x" });
  // Its body breaks off while it is sent.
  const failing = new ReadableStream({ pull: (controller) => controller.error(new Error("gone")) });
  const streamed = new Request(request, { body: failing, duplex: "half" });
  const other = await broken.window.fetch(streamed);
  await until(() => broken.kinds().includes("seen"));
  broken.say({ t: "watch", n: 1 });
  await until(() => broken.kinds().includes("watched_end"));
  assert.deepEqual(ended(broken), [[1, false]]);
  await other.body.cancel();
  assert.equal(dropped, 2);
});

test("a failure that the page does not handle stays one, and one that it handles is none", async () => {
  const before = process.listeners("unhandledRejection");
  process.removeAllListeners("unhandledRejection");
  const unhandled = [];
  process.on("unhandledRejection", (reason, promise) => unhandled.push([reason.message, promise]));
  try {
    const { window } = load(async () => {
      throw new TypeError("as ever");
    });
    const left = window.fetch("/a");
    window.fetch("/b").catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 5));
    assert.deepEqual(unhandled, [["as ever", left]]);
  } finally {
    process.removeAllListeners("unhandledRejection");
    for (const listener of before) process.on("unhandledRejection", listener);
  }
});

test("an answer that the page stops reading is stopped, and not complete", async () => {
  const reading = async (body) => {
    const reader = body.getReader();
    await reader.read();
    return reader;
  };
  const ways = {
    "its reader": async ({ body }) => (await reading(body)).cancel(),
    "the stream": async ({ body }) => {
      (await reading(body)).releaseLock();
      await body.cancel();
    },
  };
  for (const [name, stop] of Object.entries(ways)) {
    let cancelled = 0;
    const { window, say, told, kinds } = load(async () => stream(["data: 1\n\n"], { open: true, cancel: () => (cancelled += 1) }));
    const response = await window.fetch("/completion");
    await until(() => kinds().includes("seen"));
    say({ t: "watch", n: 1 });
    await until(() => kinds().includes("watched_text"));
    void stop(response);
    for (let i = 0; i < 500 && !kinds().includes("watched_end"); i += 1) await new Promise((resolve) => setTimeout(resolve, 1));
    assert.deepEqual([told.at(-1), cancelled], [{ t: "watched_end", n: 1, complete: false }, 1], name);
  }
});

test("to cancel what was read to its end stops nothing", async () => {
  const ends = {
    "its reader": async ({ body }) => {
      const reader = body.getReader();
      while (!(await reader.read()).done);
      await reader.cancel();
    },
    "the stream": async ({ body }) => {
      const reader = body.getReader();
      while (!(await reader.read()).done);
      reader.releaseLock();
      await body.cancel();
    },
    "all of it": async (response) => assert.equal(await response.text(), "ab"),
  };
  for (const [name, read] of Object.entries(ends)) {
    const { window, say, told, kinds } = load(async () => stream(["a", "b"]));
    await read(await window.fetch("/completion"));
    await until(() => kinds().includes("seen"));
    say({ t: "watch", n: 1 });
    await until(() => kinds().includes("watched_end"));
    assert.equal(told.map(({ text }) => text ?? "").join(""), "ab", name);
    assert.equal(told.at(-1).complete, true, name);
  }
});

test("our own requests are not looked at", async () => {
  const { say, kinds } = load(async () => stream(["x"]));
  say(FETCH);
  await until(() => kinds().includes("end"));
  assert.ok(!kinds().includes("seen"));
});

test("what the page asks wrongly fails for the page as ever", async () => {
  const { window } = load(async () => {
    throw new TypeError("as ever");
  });
  await assert.rejects(window.fetch("http://["), { message: "as ever" });
  assert.match(Function.prototype.toString.call(window.fetch), /\[native code\]/);
});

test("a request of the page by XMLHttpRequest is looked at when it is over", async () => {
  const { Xhr, say, told, kinds } = load(async () => stream([]));
  const request = new Xhr();
  request.open("POST", "/generate");
  request.send("f.req=1");
  request.responseText = "answer";
  request.dispatchEvent(new Event("load"));
  request.dispatchEvent(new Event("loadend"));
  await until(() => kinds().includes("seen"));
  say({ t: "watch", n: told[0].n });
  await until(() => kinds().includes("watched_end"));
  assert.deepEqual(told.slice(1).map(({ t, body, text, complete }) => [t, body ?? text ?? complete]), [["watched", "f.req=1"], ["watched_text", "answer"], ["watched_end", true]]);
});

test("nothing is done in a page whose scripts may have run", () => {
  const run = (state) => {
    const doc = Object.assign(fresh(), state);
    const heard = [];
    doc.addEventListener("baa-conductor-channel", () => heard.push("channel"));
    const connect = () => {
      heard.push("port");
      return { onMessage: { addListener: () => {} }, onDisconnect: { addListener: () => {} } };
    };
    const bridge = new Function("document", "browser", "addEventListener", source("content/bridge.js"));
    bridge(doc, { runtime: { connect } }, () => {});
    const network = async () => stream([]);
    const window = { CustomEvent, AbortController, TextDecoder, URL, Request, Proxy, Object, Promise, setTimeout, fetch: network };
    const page = new Function("window", "document", "location", "XMLHttpRequest", source("content/page.js"));
    page(window, doc, { href: "https://claude.ai/" }, class extends FakeXhr { open() {} send() {} });
    return [...heard, window.fetch === network];
  };
  assert.deepEqual(run({}), ["channel", "port", false]);
  for (const state of [{ readyState: "interactive" }, { readyState: "complete" }, { scripts: [{}] }]) {
    assert.deepEqual(run(state), [true], JSON.stringify(state));
  }
});

test("once the extension is gone the page is left alone", async () => {
  const { window, told, die } = load(async () => stream(["x"]));
  die();
  await window.fetch("/a");
  await window.fetch("/b");
  assert.deepEqual(told, []);
});

test("the manifest has the daemon's version, and its scripts in the order they need", () => {
  const manifest = JSON.parse(source("manifest.json"));
  const [, version] = /^version = "(.+)"$/m.exec(source("../Cargo.toml"));
  assert.equal(manifest.version, version);
  const [page, bridge] = manifest.content_scripts;
  assert.deepEqual([page.js, page.world, bridge.js, bridge.world], [["content/page.js"], "MAIN", ["content/bridge.js"], undefined]);
  for (const script of [page, bridge]) {
    assert.equal(script.run_at, "document_start");
    assert.deepEqual(script.matches, manifest.permissions.filter((permission) => permission.includes(":")));
  }
  const hosts = [...source("../src/platforms/builtin.toml").matchAll(/^hosts = (.+)$/gm)].flatMap(([, list]) => JSON.parse(list));
  assert.deepEqual(page.matches, hosts.sort((a, b) => page.matches.indexOf(`https://${a}/*`) - page.matches.indexOf(`https://${b}/*`)).map((host) => `https://${host}/*`));
});
