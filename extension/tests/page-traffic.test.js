import assert from "node:assert/strict";
import test from "node:test";
import { FETCH, load, stream, until } from "./support/page.js";

test("the page's own requests get the same answer, and are observed only if the background wants it", async () => {
  const { window, say, told, kinds } = load(async () => stream(["data: 1\n\n"]));
  const page = window.fetch("/completion", { method: "post", body: "prompt" });
  const response = await page;
  assert.equal(await response.text(), "data: 1\n\n");
  await until(() => kinds().includes("seen"));
  const { n, method, url, from, page: href } = told[0];
  assert.deepEqual([method, url, from, href], ["POST", "https://claude.ai/completion", "", "https://claude.ai/chat/1"]);
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

test("the background receives the end of every offered answer, and nothing is kept", async () => {
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
  // The body fails while it is sent.
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

test("unhandled rejections stay unhandled, handled ones stay handled", async () => {
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

test("an answer that the page cancels is incomplete", async () => {
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

test("cancelling after the end stops nothing", async () => {
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

test("proxied requests are not observed", async () => {
  const { say, kinds } = load(async () => stream(["x"]));
  say(FETCH);
  await until(() => kinds().includes("end"));
  assert.ok(!kinds().includes("seen"));
});

test("invalid arguments fail for the page as usual", async () => {
  const { window } = load(async () => {
    throw new TypeError("as ever");
  });
  await assert.rejects(window.fetch("http://["), { message: "as ever" });
  assert.match(Function.prototype.toString.call(window.fetch), /\[native code\]/);
});

test("a request by XMLHttpRequest is observed when it is over", async () => {
  const { Xhr, say, told, kinds } = load(async () => stream([]));
  const request = new Xhr();
  request.open("POST", "/generate");
  request.send("f.req=1");
  request.responseText = "answer";
  request.dispatchEvent(new Event("load"));
  request.dispatchEvent(new Event("loadend"));
  await until(() => kinds().includes("seen"));
  assert.deepEqual([told[0].url, told[0].from], ["https://claude.ai/generate", "https://claude.ai/answered"]);
  say({ t: "watch", n: told[0].n });
  await until(() => kinds().includes("watched_end"));
  assert.deepEqual(told.slice(1).map(({ t, body, text, complete }) => [t, body ?? text ?? complete]), [["watched", "f.req=1"], ["watched_text", "answer"], ["watched_end", true]]);
});
