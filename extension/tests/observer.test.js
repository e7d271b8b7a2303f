import assert from "node:assert/strict";
import test from "node:test";
import { Observer } from "../background/observer.js";
import { owns } from "../background/hosts.js";
import { CLAUDE, FakePort, settled } from "./support/fakes.js";

function make(outcome = { message: { raw_text: "Hello" } }) {
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
  const observer = new Observer({
    owns,
    extractorFor: (name) => (name === "claude" ? knowledge : null),
    platformOf: (tabId) => (tabId === 1 ? CLAUDE : undefined),
    message: async (found) => told.messages.push(found),
    account: (name, account) => told.accounts.push(`${name} ${account}`),
    status: (fields) => told.status.push(fields),
    now: () => 5,
    log: () => {},
  });
  const port = new FakePort(1);
  const say = (t, more = {}) => observer.message(1, port, { t, n: 1, ...more });
  const see = (more = {}) => say("seen", { method: "POST", url: "https://claude.ai/completion", status: 200, page: "https://claude.ai/chat/1", ...more });
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

test("an answer that breaks off, or whose page goes, is no message", () => {
  const { observer, port, say, see, told } = make();
  see();
  say("watched", {});
  say("watched_end", { complete: false });
  see();
  say("watched", {});
  observer.gone(port);
  assert.deepEqual([told.ends, told.messages, told.status], [[false, false], [], []]);
});

test("what is nobody's business is not watched", () => {
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
  const { observer, port } = make();
  observer.message(9, port, { t: "seen", n: 1, method: "GET", url: "https://claude.ai/completion", status: 200 });
  assert.deepEqual(port.sent, [{ t: "skip", n: 1 }]);
});

test("the page's own traffic shows whose login it is", () => {
  const { say, see, told } = make();
  see({ method: "GET", url: "https://claude.ai/api/account" });
  say("watched", {});
  say("watched_text", { text: '{"email":' });
  say("watched_text", { text: '"me@example.org"}' });
  say("watched_end", { complete: true });
  assert.deepEqual(told.accounts, ["claude me@example.org"]);
});

test("what is not understood is counted and told, not guessed", () => {
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

test("a page cannot have more watched than is good", () => {
  const { observer, port } = make();
  for (let n = 0; n < 70; n += 1) {
    observer.message(1, port, { t: "seen", n, method: "POST", url: "https://claude.ai/completion", status: 200 });
  }
  assert.equal(port.sent.filter(({ t }) => t === "watch").length, 64);
});

test("one that ends before it began makes room and is nothing to worry about", () => {
  const { observer, port, told } = make({ drift: "shape" });
  for (let n = 0; n < 200; n += 1) {
    observer.message(1, port, { t: "seen", n, method: "POST", url: "https://claude.ai/completion", status: 200 });
    observer.message(1, port, { t: "watched_end", n, complete: false });
  }
  assert.equal(port.sent.filter(({ t }) => t === "watch").length, 200);
  assert.deepEqual([told.status, told.messages], [[], []]);
});
