import assert from "node:assert/strict";
import test from "node:test";
import { FakeXhr, FETCH, fresh, load, source, stream, until } from "./support/page.js";

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

test("a failure reports the error's name only, and a long answer is too large", async () => {
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
  // Only browsers create such responses.
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

test("the page reads on only after acknowledgements, and an abort ends the waiting", async () => {
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

test("getters on the page's prototypes see and change nothing of the extension", async () => {
  const seen = [];
  const look = (self, name) => {
    // Objects of the script; Node itself uses these too.
    if (self && (self.t !== undefined || self.headers?.authorization || self.detail)) seen.push(name);
  };
  // Node itself calls them too; the caller counts.
  const ours = (name) => /eval at load|at network/.exec(new Error().stack.split("\n").slice(3, 5).join()) && seen.push(name);
  // Reads options as the browser does.
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
          // The options of the event have only these two own fields.
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

test("a page whose scripts may have run is left alone", () => {
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
    page(window, doc, { href: "https://claude.ai/" }, class extends FakeXhr { open() {} send() {} get responseURL() { return ""; } });
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

test("the manifest has the daemon's version, and its scripts in the right order", () => {
  const manifest = JSON.parse(source("manifest.json"));
  const [, version] = /^version = "(.+)"$/m.exec(source("../Cargo.toml"));
  assert.equal(manifest.version, version);
  const [page, bridge] = manifest.content_scripts;
  assert.deepEqual([page.js, page.world, bridge.js, bridge.world], [["content/page.js"], "MAIN", ["content/typed.js", "content/bridge.js"], undefined]);
  for (const script of [page, bridge]) {
    assert.equal(script.run_at, "document_start");
    assert.deepEqual(script.matches, page.matches);
  }
  const builtIn = source("../src/platforms/builtin.toml");
  const values = (key) => [...builtIn.matchAll(new RegExp(`^${key} = (.+)$`, "gm"))].flatMap(([, value]) => JSON.parse(value));
  // Scripts run in shell pages only; requests may go to all hosts.
  assert.deepEqual([...page.matches].sort(), values("shell_url").map((url) => `${url}*`).sort());
  const granted = manifest.permissions.filter((permission) => permission.includes(":"));
  assert.deepEqual(granted.sort(), values("hosts").map((host) => `https://${host}/*`).sort());
});
