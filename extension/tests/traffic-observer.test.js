import assert from "node:assert/strict";
import test from "node:test";
import { TrafficObserver } from "../background/traffic-observer.js";
import { isShellSender } from "../background/shell.js";
import { CLAUDE, FakePort, settled } from "./support/fakes.js";

/** A completion's answer, as `content/page.js` reports it. */
const SEEN = { t: "seen", n: 1, method: "POST", url: "https://claude.ai/completion", from: "https://claude.ai/completion", status: 200, page: "https://claude.ai/chat/1" };

function make(outcome = { message: { raw_text: "Hello" } }, { port = new FakePort(1), platform = CLAUDE } = {}) {
  const told = { messages: [], accounts: [], status: [], read: [], ends: [] };
  const knowledge = {
    watches: ({ url }) => url.includes("/completion"),
    extractor: (call) => {
      told.call = call;
      return {
        push: (text) => {
          if (text === "throw") throw new Error("no");
          told.read.push(text);
        },
        end: (complete) => {
          told.ends.push(complete);
          return complete ? outcome : { nothing: "incomplete" };
        },
      };
    },
    account: ({ body }) => JSON.parse(body).email ?? null,
  };
  const observer = new TrafficObserver({
    extractorFor: (name) => (name === "claude" ? knowledge : null),
    platformOf: (tabId, port) => (isShellSender(platform, port.sender) ? platform : undefined),
    message: async (found) => told.messages.push(found),
    account: (name, account) => told.accounts.push(`${name} ${account}`),
    status: (fields) => told.status.push(fields),
    now: () => 5,
    log: () => {},
  });
  const say = (t, more = {}) => observer.message(1, port, { t, n: 1, ...more });
  const see = (more = {}) => say("seen", { ...SEEN, from: more.url ?? SEEN.url, ...more });
  return { observer, port, say, see, told };
}

test("a complete answer becomes a message, once", async () => {
  const { port, say, see, told } = make();
  see();
  assert.deepEqual(port.sent, [{ t: "watch", n: 1 }]);
  say("watched", { body: "prompt" });
  say("watched_text", { text: "a" });
  say("watched_text", { text: "b" });
  say("watched_end", { complete: true });
  say("watched_end", { complete: true });
  await settled();
  assert.deepEqual(told.messages, [{ platform: "claude", raw_text: "Hello" }]);
  assert.deepEqual([told.read, told.call.requestBody, told.call.pageUrl], [["a", "b"], "prompt", "https://claude.ai/chat/1"]);
});

test("an incomplete answer, or one whose page is gone, is not a message", () => {
  const { observer, port, say, see, told } = make();
  see();
  say("watched", {});
  say("watched_end", { complete: false });
  see();
  say("watched", {});
  observer.gone(port);
  assert.deepEqual([told.ends, told.messages, told.status], [[false, false], [], []]);
});

test("other answers are not read", () => {
  for (const more of [
    { url: "https://claude.ai/other" },
    { url: "https://claude.ai.evil.example/completion" },
    { status: 500 },
    { url: "https://claude.ai/api/account", method: "POST" },
  ]) {
    const { port, see } = make();
    see(more);
    assert.deepEqual(port.sent, [{ t: "skip", n: 1 }], JSON.stringify(more));
  }
});

/** Returns the result of one completed answer. */
async function told(more, places) {
  const { say, see, told } = make(undefined, places);
  see(more);
  say("watched", {});
  say("watched_text", { text: "a" });
  say("watched_end", { complete: true });
  await settled();
  return told;
}

test("only a page of the shell's own origin makes a final message", async () => {
  assert.equal((await told({})).messages.length, 1);
  for (const [how, port] of Object.entries({
    "a subdomain": new FakePort(1, 0, "https://evil.claude.ai/chat/1"),
    "another port": new FakePort(1, 0, "https://claude.ai:8443/chat/1"),
    "another scheme": new FakePort(1, 0, "http://claude.ai/chat/1"),
    "another site": new FakePort(1, 0, "https://claude.ai.evil.example/"),
    "a user's name in it": new FakePort(1, 0, "https://claude.ai@evil.example/"),
    "a sandboxed document": new FakePort(1, 0, "https://claude.ai/chat/1", "null"),
    "another origin than its address": new FakePort(1, 0, "https://claude.ai/chat/1", "https://evil.claude.ai"),
    "an empty one": new FakePort(1, 0, "about:blank", "null"),
  })) {
    const { messages, status, accounts } = await told({}, { port });
    assert.deepEqual([messages, status], [[], []], how);
    assert.deepEqual(accounts, [], how);
  }
});

test("only an answer of the shell's origin, or of an answer host, makes a final message, also after redirects", async () => {
  const platform = { ...CLAUDE, answer_hosts: ["ws.claude.ai"] };
  const own = "https://claude.ai/completion";
  const rows = [
    [own, own, 1],
    ["https://ws.claude.ai/completion", "https://ws.claude.ai/completion", 1],
    ["wss://ws.claude.ai/completion", "wss://ws.claude.ai/completion", 1],
    [own, "https://ws.claude.ai/completion", 1],
    [own, "https://evil.claude.ai/completion", 0],
    ["https://evil.claude.ai/completion", own, 0],
    ["https://evil.claude.ai/completion", "https://evil.claude.ai/completion", 0],
    ["https://x.ws.claude.ai/completion", "https://x.ws.claude.ai/completion", 0],
    ["https://ws.claude.ai:8443/completion", "https://ws.claude.ai:8443/completion", 0],
    ["http://ws.claude.ai/completion", "http://ws.claude.ai/completion", 0],
    ["https://user@ws.claude.ai/completion", "https://user@ws.claude.ai/completion", 0],
    [own, "", 0],
    [own, undefined, 0],
    [own, "blob:https://claude.ai/completion", 0],
    ["", own, 0],
  ];
  for (const [url, from, count] of rows) {
    assert.equal((await told({ url, from }, { platform })).messages.length, count, `${url} answered by ${from}`);
  }
  assert.equal((await told({ url: "https://ws.claude.ai/completion" })).messages.length, 0, "no host is named by itself");
});

test("other hosts and redirects do not set the account, and only a shell page's address is used", async () => {
  const account = async (more) => {
    const { say, see, told } = make();
    see({ method: "GET", ...more });
    say("watched", {});
    say("watched_text", { text: '{"email":"evil@example.org"}' });
    say("watched_end", { complete: true });
    return told.accounts;
  };
  assert.equal((await account({ url: "https://claude.ai/api/account" })).length, 1);
  assert.deepEqual(await account({ url: "https://evil.claude.ai/api/account" }), []);
  assert.deepEqual(await account({ url: "https://claude.ai/api/account", from: "https://evil.claude.ai/api/account" }), []);
  assert.equal((await told({ page: "https://evil.claude.ai/chat/of-another" })).call.pageUrl, undefined);
});

test("the page's own traffic sets the account", () => {
  const { say, see, told } = make();
  see({ method: "GET", url: "https://claude.ai/api/account" });
  say("watched", {});
  say("watched_text", { text: '{"email":' });
  say("watched_text", { text: '"me@example.org"}' });
  say("watched_end", { complete: true });
  assert.deepEqual(told.accounts, ["claude me@example.org"]);
});

test("an unknown format is counted and reported as drift", () => {
  const { observer, say, see, told } = make({ drift: "shape" });
  for (let i = 0; i < 2; i += 1) {
    see();
    say("watched", {});
    say("watched_end", { complete: true });
  }
  see();
  say("watched", {});
  say("watched_text", { text: "throw" });
  say("watched_end", { complete: true });
  assert.deepEqual(told.status.map(({ extractor_drift }) => extractor_drift), [1, 2, 3]);
  assert.deepEqual(observer.drift, [{ platform: "claude", extractor_drift: 3, last_drift_at: 5 }]);
  assert.deepEqual(told.messages, []);
});

test("the number of answers read at a time is limited", () => {
  const { observer, port } = make();
  for (let n = 0; n < 70; n += 1) {
    observer.message(1, port, { ...SEEN, n });
  }
  assert.equal(port.sent.filter(({ t }) => t === "watch").length, 64);
});

test("an answer that ends before it started frees its place and is not a drift", () => {
  const { observer, port, told } = make({ drift: "shape" });
  for (let n = 0; n < 200; n += 1) {
    observer.message(1, port, { ...SEEN, n });
    observer.message(1, port, { t: "watched_end", n, complete: false });
  }
  assert.equal(port.sent.filter(({ t }) => t === "watch").length, 200);
  assert.deepEqual([told.status, told.messages], [[], []]);
});
