import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { MAX_SEEN, MAX_TRIES, MAX_UNSENT, FinalMessages, syntheticId } from "../background/final-messages.js";
import { Storage } from "./support/storage.js";

/** A browser that can be restarted, and whose daemon may be away. */
class Browser {
  storage = new Storage();
  frames = [];
  isConnected = true;
  connections = 1;

  start() {
    return new FinalMessages({
      storage: this.storage,
      connection: () => (this.isConnected ? this.connections : undefined),
      send: (frame) => {
        if (this.isConnected) this.frames.push(JSON.parse(frame));
        return this.isConnected;
      },
      now: () => 1_790_000_000_000,
    });
  }

  /** A new connection without frames of the daemon. */
  connect() {
    this.isConnected = true;
    this.connections += 1;
  }

  /** Opens a new connection, which the daemon acknowledges. */
  greet(messages) {
    this.connect();
    return messages.flush();
  }

  /** Delivers the messages that the daemon knows. */
  async confirm(messages) {
    await messages.confirmed(this.frames.map(shown).slice(-10));
    return messages;
  }

  get texts() {
    return this.frames.map((frame) => frame.raw_text);
  }
}

/** Returns the entry of a message in a snapshot. */
const shown = ({ raw_text, ...message }) => ({ ...message, raw_length: [...raw_text].length, observed_at: 1 });

const message = (raw_text, more = {}) => ({
  platform: "claude",
  conversation_id: "conv-1",
  assistant_message_id: `msg-${raw_text.length}-${raw_text.slice(0, 40)}`,
  raw_text,
  ...more,
});

test("the frame is the golden one", async () => {
  const browser = new Browser();
  const golden = new URL("../../tests/fixtures/wire/inbound/browser.final_message.json", import.meta.url);
  const id = { assistant_message_id: "msg-1" };
  assert.equal(await browser.start().observed(message("Hello.\n", id)), "sent");
  assert.deepEqual(browser.frames, [JSON.parse(readFileSync(golden, "utf8"))]);
});

test("a message is sent once, also after a restart of the browser", async () => {
  const browser = new Browser();
  const first = browser.start();
  assert.equal(await first.observed(message("one")), "sent");
  assert.equal(await first.observed(message("one")), "known");
  await browser.confirm(first);
  assert.equal(await browser.start().observed(message("one")), "known");
  assert.equal(await browser.start().observed(message("one", { conversation_id: undefined })), "known");
  const second = browser.start();
  assert.equal(await second.observed(message("one", { platform: "gemini" })), "sent");
  await browser.confirm(second);
  assert.equal(await browser.start().observed(message("one", { assistant_message_id: "other" })), "sent");
  assert.equal(browser.frames.length, 3);
});

test("two equal messages at once are sent once, different ones in order", async () => {
  const browser = new Browser();
  const messages = browser.start();
  const all = ["one", "one", "two", "one", "two"].map((text) => messages.observed(message(text)));
  assert.deepEqual(await Promise.all(all), ["sent", "known", "sent", "known", "known"]);
  assert.deepEqual(browser.texts, ["one", "two"]);
});

test("a message without an id gets a synthetic one", async () => {
  const browser = new Browser();
  const messages = browser.start();
  const bare = message("bare", { assistant_message_id: undefined });
  assert.equal(await messages.observed(bare), "sent");
  assert.equal(await messages.observed(bare), "known");
  assert.equal(await messages.observed({ ...bare, conversation_id: "conv-2" }), "sent");
  assert.equal(await messages.observed({ ...bare, conversation_id: undefined }), "sent");
  const hash = createHash("sha256").update(JSON.stringify(["claude", "conv-1", "bare"])).digest("hex");
  assert.equal(browser.frames[0].assistant_message_id, `synthetic_${hash}`);
  assert.equal(browser.frames[0].assistant_message_id, await syntheticId("claude", "conv-1", "bare"));
  assert.equal(new Set(browser.frames.map((frame) => frame.assistant_message_id)).size, 3);
});

test("an empty text is not a message", async () => {
  const browser = new Browser();
  assert.equal(await browser.start().observed(message("", { raw_text: "" })), "empty");
  assert.equal(await browser.start().observed(message("", { raw_text: undefined })), "empty");
  assert.deepEqual(browser.frames, []);
});

test("unsent messages wait, also across a restart, and are sent oldest first", async () => {
  const browser = new Browser();
  browser.isConnected = false;
  assert.equal(await browser.start().observed(message("one")), "kept");
  const second = browser.start();
  assert.equal(await second.observed(message("two")), "kept");
  assert.equal(await second.observed(message("one")), "known");
  assert.equal(await second.flush(), 0);
  const third = browser.start();
  browser.isConnected = true;
  assert.equal(await third.flush(), 2);
  await browser.confirm(third);
  assert.equal(await third.flush(), 0);
  assert.equal(await browser.start().flush(), 0);
  assert.deepEqual(browser.texts, ["one", "two"]);
});

test("a new message does not overtake waiting ones", async () => {
  const browser = new Browser();
  const messages = browser.start();
  browser.isConnected = false;
  await messages.observed(message("one"));
  browser.isConnected = true;
  assert.equal(await messages.observed(message("two")), "sent");
  assert.deepEqual(browser.texts, ["one", "two"]);
});

test("a connection lost while sending keeps the rest", async () => {
  const browser = new Browser();
  const messages = browser.start();
  browser.isConnected = false;
  for (const text of ["one", "two", "three"]) await messages.observed(message(text));
  const sent = [];
  const shaky = new FinalMessages({
    storage: browser.storage,
    send: (frame) => {
      if (sent.length === 1) throw new Error("connection lost");
      sent.push(JSON.parse(frame).raw_text);
      return true;
    },
    connection: () => 1,
    now: () => 0,
  });
  assert.equal(await shaky.flush(), 1);
  await shaky.confirmed([shown(message("one"))]);
  browser.isConnected = true;
  await browser.start().flush();
  assert.deepEqual([sent, browser.texts], [["one"], ["two", "three"]]);
});

test("unconfirmed messages are sent again on the next connection, in order", async () => {
  const browser = new Browser();
  const messages = browser.start();
  for (const text of ["one", "two", "three 🐎"]) assert.equal(await messages.observed(message(text)), "sent");
  await messages.confirmed([]);
  await messages.confirmed(undefined);
  await messages.confirmed([null, { ...shown(message("two")), raw_length: 4 }, { ...shown(message("two")), platform: "gemini" }]);
  assert.equal(await browser.greet(messages), 3);
  // The second one arrived, so the ones sent before it did too.
  await messages.confirmed([shown(message("two"))]);
  assert.equal(await browser.greet(messages), 1);
  assert.equal(await browser.greet(browser.start()), 1, "also by a browser started anew");
  assert.deepEqual(browser.texts, ["one", "two", "three 🐎", "one", "two", "three 🐎", "three 🐎", "three 🐎"]);
  await messages.confirmed([shown(message("three 🐎"))]);
  assert.equal(await browser.greet(messages), 0);
  assert.equal(await browser.greet(browser.start()), 0);
});

test("only sent messages are confirmed, and one that is never confirmed is given up", async () => {
  const browser = new Browser();
  const messages = browser.start();
  browser.isConnected = false;
  await messages.observed(message("one"));
  await messages.confirmed([shown(message("one"))]);
  for (let at = 0; at < MAX_TRIES; at += 1) assert.equal(await browser.greet(messages), 1);
  assert.equal(await browser.greet(messages), 0);
});

test("a message observed during a flush is sent after the waiting ones, once", async () => {
  const browser = new Browser();
  const messages = browser.start();
  await messages.observed(message("one"));
  await messages.observed(message("two"));
  browser.connect();
  // hello_ack came; the registry is still being applied.
  assert.equal(await messages.observed(message("three")), "sent");
  assert.equal(await messages.flush(), 0);
  assert.deepEqual(browser.texts, ["one", "two", "one", "two", "three"]);
  await messages.confirmed([shown(message("three"))]);
  assert.equal(await browser.greet(messages), 0);
});

test("a confirmation covers the messages sent before on the same connection", async () => {
  const browser = new Browser();
  browser.isConnected = false;
  await browser.start().observed(message("old"));
  browser.connect();
  const messages = browser.start();
  browser.storage.failsToRead = true;
  await messages.observed(message("new"));
  browser.storage.failsToRead = false;
  await messages.flush();
  assert.deepEqual(browser.texts, ["new", "old"]);
  await messages.confirmed([shown(message("new"))]);
  assert.equal(await browser.greet(messages), 1);
  assert.equal(browser.texts.at(-1), "old");
});

test("only the newest twenty messages wait", async () => {
  const browser = new Browser();
  const messages = browser.start();
  browser.isConnected = false;
  const texts = Array.from({ length: MAX_UNSENT + 5 }, (_, at) => `text ${at}`);
  for (const text of texts) await messages.observed(message(text));
  browser.isConnected = true;
  assert.equal(await browser.start().flush(), 20);
  assert.deepEqual(browser.texts, texts.slice(-20));
  assert.equal(await messages.observed(message("text 0")), "known");
});

test("the stored digests are bounded and contain no text", async () => {
  const browser = new Browser();
  const messages = browser.start();
  for (let at = 0; at < MAX_SEEN + 3; at += 1) await messages.observed(message(`words ${at}`));
  await browser.confirm(messages);
  const kept = JSON.stringify(browser.storage.kept);
  assert.equal(browser.storage.kept.final_messages.seen.length, MAX_SEEN);
  assert.ok(!kept.includes("words"));
  assert.equal(await browser.start().observed(message(`words ${MAX_SEEN}`)), "known");
});

test("without a writable storage messages stay in memory", async () => {
  const browser = new Browser();
  const messages = browser.start();
  browser.storage.failsToWrite = true;
  browser.isConnected = false;
  assert.equal(await messages.observed(message("one")), "kept");
  browser.isConnected = true;
  assert.equal(await messages.observed(message("two")), "sent");
  assert.equal(await messages.observed(message("one")), "known");
  browser.storage.failsToWrite = false;
  assert.equal(await messages.observed(message("three")), "sent");
  assert.equal(await browser.start().observed(message("one")), "known");
  assert.deepEqual(browser.texts, ["one", "two", "three"]);
});

test("a storage that cannot be read is not overwritten, and merged later", async () => {
  const browser = new Browser();
  browser.isConnected = false;
  await browser.start().observed(message("old"));
  const before = structuredClone(browser.storage.kept);
  const messages = browser.start();
  browser.storage.failsToRead = true;
  assert.equal(await messages.observed(message("new")), "kept");
  assert.deepEqual(browser.storage.kept, before);
  browser.storage.failsToRead = false;
  browser.isConnected = true;
  assert.equal(await messages.flush(), 2);
  assert.deepEqual(browser.texts, ["old", "new"]);
  assert.equal(await browser.start().observed(message("old")), "known");
});

test("invalid entries of the storage are ignored", async () => {
  const wrong = ["text", 7, null, [], { seen: "x", unsent: {} }, { seen: [1, null], unsent: [null, {}, "x"] }];
  for (const kept of wrong) {
    const browser = new Browser();
    browser.storage.kept = { final_messages: kept };
    assert.equal(await browser.start().observed(message("one")), "sent");
    assert.deepEqual(browser.texts, ["one"]);
  }
});
