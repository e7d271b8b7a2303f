import assert from "node:assert/strict";
import test from "node:test";
import { JsonText } from "../background/body.js";
import { failureOf, PROGRESS_MS, Proxy } from "../background/proxy.js";
import { bytesOf, exceeds, FRAME_BYTES_MAX, Outbox, SOCKET_BYTES_HIGH } from "../background/outbox.js";
import { CLAUDE, Clock, FakePort, settled } from "./support/fakes.js";
import { greetedLink } from "./support/link.js";

function make({ page, captured = {}, over } = {}) {
  const clock = over?.clock ?? new Clock();
  const port = new FakePort(5);
  const frames = [];
  const rooms = [];
  const link = { connected: true, full: false, send: (text) => frames.push(JSON.parse(text)), room: () => (link.full ? new Promise((resolve) => rooms.push(resolve)) : undefined) };
  const refused = [];
  let mine = 0;
  const proxy = new Proxy({
    ...clock,
    link: over?.link ?? link,
    log: () => {},
    captured: () => captured,
    mine: () => {
      mine += 1;
      return () => (mine -= 1);
    },
    refused: (name, status) => refused.push(status),
    failed: () => {},
    shells: { platform: (name) => (name === "claude" ? CLAUDE : undefined) },
    tabs: { page: async () => (page === undefined ? { tabId: 5, port } : page) },
  });
  const ask = async (more = {}) => {
    await proxy.request({ type: "api_request", id: "r", platform: "claude", method: "GET", path: "/api/x", headers: {}, response_mode: "buffered", ...more });
    return port.sent.findLast((message) => message.t === "fetch");
  };
  /** What the page says about the request it was asked for last. */
  const say = (t, more = {}) => proxy.message(port, { t, id: port.sent.findLast((message) => message.t === "fetch")?.id, ...more });
  const head = (type = "application/json", status = 200) => say("head", { status, headers: { "content-type": type }, url: "https://claude.ai/api/x" });
  return { clock, port, frames, link, rooms, proxy, ask, say, head, refused, mine: () => mine };
}

test("a request goes to the page with the captured headers and the caller's over them", async () => {
  const { ask, mine } = make({ captured: { "x-csrf": "page", authorization: "page" } });
  const sent = await ask({ method: "post", headers: { "X-CSRF": "caller", cookie: "no" }, body: { a: 1 } });
  assert.deepEqual([sent.url, sent.method, sent.body], ["https://claude.ai/api/x", "POST", '{"a":1}']);
  assert.deepEqual(sent.headers, { "x-csrf": "caller", authorization: "page", "content-type": "application/json" });
  assert.equal(mine(), 1);
});

test("text goes as it is, and without a body there is none", async () => {
  const first = await make().ask({ method: "POST", body: "a=1", headers: { "content-type": "application/x-www-form-urlencoded" } });
  assert.deepEqual([first.body, first.headers["content-type"]], ["a=1", "application/x-www-form-urlencoded"]);
  assert.equal("body" in (await make().ask({ body: null })), false);
});

test("what is not on the platform's hosts, or a prompt without a template, is refused before any page hears of it", async () => {
  for (const [more, error] of [
    [{ path: "https://claude.ai.evil.example/" }, "host_not_allowed"],
    [{ path: "https://claude.ai@evil.example/" }, "host_not_allowed"],
    [{ path: "//evil.example/" }, "host_not_allowed"],
    [{ platform: "unknown" }, "host_not_allowed"],
    [{ path: undefined }, "host_not_allowed"],
    [{ path: undefined, prompt: "Hello" }, "template_refused"],
  ]) {
    for (const response_mode of ["buffered", "sse"]) {
      const { ask, frames, proxy } = make();
      assert.equal(await ask({ ...more, response_mode }), undefined);
      assert.equal(frames[0].error ?? frames[0].code, error);
      assert.equal(frames[0].type, response_mode === "sse" ? "stream_error" : "api_response");
      assert.equal(proxy.running, 0);
    }
  }
});

test("an answer that a redirect brought from elsewhere is refused", async () => {
  const { ask, say, frames, port } = make();
  await ask();
  say("head", { status: 200, headers: {}, url: "https://evil.example/" });
  assert.deepEqual([frames[0].error, port.sent.at(-1).t], ["host_not_allowed", "abort"]);
});

test("an answer comes whole", async () => {
  const { ask, say, head, frames, proxy, mine } = make();
  await ask();
  head("application/json", 201);
  say("chunk", { text: '{"a":' });
  say("chunk", { text: "1}" });
  assert.deepEqual(frames, []);
  say("end");
  assert.deepEqual(frames, [{ type: "api_response", id: "r", ok: true, status: 201, headers: { "content-type": "application/json" }, body: { a: 1 } }]);
  assert.deepEqual([proxy.running, mine()], [0, 0]);
});

test("a stream comes event by event", async () => {
  const { ask, say, head, frames } = make();
  await ask({ response_mode: "sse", stream_id: "s" });
  head("text/event-stream");
  say("chunk", { text: "data: 1\n\nda" });
  say("chunk", { text: "ta: 2\n\n" });
  say("end");
  assert.deepEqual(frames.map(({ type, stream_id, seq }) => [type, stream_id, seq]), [
    ["stream_open", "s", undefined], ["stream_event", "s", 1], ["stream_event", "s", 2], ["stream_end", "s", undefined],
  ]);
  assert.deepEqual(frames[0].meta, { method: "GET", platform: "claude", url: "https://claude.ai/api/x" });
});

test("cancelling aborts the fetch and is answered once", async () => {
  for (const response_mode of ["buffered", "sse"]) {
    const { ask, say, head, frames, port, proxy } = make();
    await ask({ response_mode });
    head("text/event-stream");
    proxy.cancel({ id: "r" });
    say("fail", { code: "fetch_failed" });
    proxy.cancel({ id: "r" });
    assert.deepEqual(port.sent.map(({ t }) => t), ["fetch", "abort"]);
    const last = frames.at(-1);
    assert.deepEqual([last.error ?? last.code, last.status, frames.filter(({ type }) => type !== "stream_open").length], ["request_cancelled", 499, 1]);
  }
});

test("cancelling what still waits for its tab keeps it from the page", async () => {
  let give;
  const { ask, port, frames, proxy } = make({ page: new Promise((resolve) => (give = resolve)) });
  const asked = ask();
  proxy.cancel({ id: "r" });
  give({ tabId: 5, port });
  await asked;
  assert.deepEqual([port.sent, frames.map(({ error }) => error)], [[], ["request_cancelled"]]);
});

test("a tab that is not there, or goes, ends the request", async () => {
  const without = make({ page: null });
  await without.ask();
  assert.equal(without.frames[0].error, "tab_unavailable");
  const { ask, head, say, frames, proxy, port } = make();
  await ask({ response_mode: "sse" });
  head("text/event-stream");
  say("chunk", { text: "data: 1\n\n" });
  proxy.portGone(new FakePort(9));
  assert.equal(proxy.running, 1);
  proxy.portGone(port);
  assert.deepEqual(frames.map(({ type, code }) => code ?? type), ["stream_open", "stream_event", "tab_unavailable"]);
});

test("an answer that is too large ends", async () => {
  const { ask, say, head, frames, port } = make();
  await ask();
  head();
  say("fail", { code: "response_too_large", message: "x" });
  assert.equal(frames[0].error, "response_too_large");
  const stream = make();
  await stream.ask({ response_mode: "sse" });
  stream.head("text/event-stream");
  stream.say("chunk", { text: `data: ${"x".repeat(17 << 20)}` });
  assert.deepEqual([stream.frames.at(-1).code, stream.port.sent.at(-1).t, port.sent.length], ["response_too_large", "abort", 1]);
});

test("of why a page failed only what it may say is passed on", async () => {
  const { ask, say, head, frames } = make();
  await ask({ response_mode: "sse" });
  head("text/event-stream");
  say("fail", { code: "request_cancelled", message: { of: "the page's" } });
  assert.deepEqual([frames.at(-1).code, frames.at(-1).status, frames.at(-1).message], ["fetch_failed", undefined, "The page could not perform the request."]);
  for (const code of ["response_too_large", "host_not_allowed", "fetch_failed"]) assert.deepEqual(failureOf({ code, message: "TypeError in the page" }), [code, "TypeError in the page"]);
  for (const code of ["tab_unavailable", "toString", undefined, null, 7, ["fetch_failed"], {}]) assert.equal(failureOf({ code })[0], "fetch_failed");
  for (const message of [undefined, null, 7, {}, "", "two\nlines", "\u001b[2J", "caf\u00e9", "x".repeat(201)]) {
    assert.deepEqual(failureOf({ code: "host_not_allowed", message }), ["host_not_allowed", "The address is not on the platform's hosts."]);
  }
});

test("progress is told again and again as long as it runs, and no longer", async () => {
  const { clock, ask, say, head, frames } = make();
  await ask();
  await clock.pass(3 * PROGRESS_MS);
  assert.deepEqual(frames, Array(3).fill({ type: "progress", id: "r" }));
  head();
  say("end");
  await clock.pass(3 * PROGRESS_MS);
  assert.equal(frames.length, 4);
});

test("the page reads on only when there is room", async () => {
  const { ask, say, head, link, port, rooms } = make();
  await ask({ response_mode: "sse" });
  head("text/event-stream");
  const text = `data: ${"x".repeat(70_000)}\n\n`;
  const acks = () => port.sent.filter(({ t }) => t === "ack");
  say("chunk", { text });
  assert.deepEqual(acks(), [{ t: "ack", id: port.sent[0].id, n: text.length }]);
  link.full = true;
  say("chunk", { text });
  await settled();
  assert.equal(acks().length, 1);
  rooms[0]();
  await settled();
  assert.equal(acks().length, 2);
});

test("a lost connection aborts everything and says nothing", async () => {
  const { ask, head, frames, proxy, port } = make();
  await ask();
  head();
  proxy.abortAll();
  assert.deepEqual([port.sent.at(-1).t, frames, proxy.running], ["abort", [], 0]);
});

test("another page cannot answer, and the same request is not performed twice", async () => {
  const { ask, head, proxy, frames, port } = make();
  await ask();
  await ask();
  assert.equal(port.sent.length, 1);
  head();
  proxy.message(new FakePort(6), { t: "end", id: port.sent[0].id });
  assert.equal(proxy.running, 1);
  assert.deepEqual(frames, []);
});

test("what a page says late of a cancelled request is not taken for the next one of that id", async () => {
  const { ask, say, head, frames, proxy, port } = make();
  const first = await ask({ method: "POST" });
  proxy.cancel({ id: "r" });
  const second = await ask({ method: "POST" });
  assert.notEqual(first.id, second.id);
  assert.deepEqual(port.sent.map(({ t, id }) => [t, id]), [["fetch", first.id], ["abort", first.id], ["fetch", second.id]]);
  head();
  proxy.message(port, { t: "chunk", id: first.id, text: "late" });
  proxy.message(port, { t: "fail", id: first.id, code: "fetch_failed" });
  assert.equal(proxy.running, 1);
  say("chunk", { text: "2" });
  say("end");
  assert.deepEqual(frames.map(({ error, body }) => error ?? body), ["request_cancelled", 2]);
});

test("a request whose connection was lost while it waited for its tab is not performed beside the next of its id", async () => {
  let give;
  const { ask, say, head, frames, port, proxy, mine } = make({ page: new Promise((resolve) => (give = resolve)) });
  const first = ask({ method: "POST" });
  proxy.abortAll();
  const second = ask({ method: "POST" });
  give({ tabId: 5, port });
  await Promise.all([first, second]);
  assert.deepEqual([port.sent.map(({ t }) => t), proxy.running, mine()], [["fetch"], 1, 1]);
  head();
  say("end");
  assert.deepEqual([frames.length, proxy.running, mine()], [1, 0, 0]);
});

test("large answers on a busy link come one after the other, and none is lost", async () => {
  const over = greetedLink();
  const { ask, proxy, port } = make({ over });
  const { clock, socket } = over;
  // The socket takes what it is given and passes it on with the next look.
  socket.send = (text) => {
    socket.sent.push(text);
    socket.bufferedAmount += text.length;
  };
  socket.bufferedAmount = SOCKET_BYTES_HIGH;
  const text = "x".repeat(16 << 20);
  for (const id of ["1", "2", "3", "4"]) {
    const { id: key } = await ask({ id });
    proxy.message(port, { t: "head", id: key, status: 200, headers: {} });
    proxy.message(port, { t: "chunk", id: key, text });
    proxy.message(port, { t: "end", id: key });
  }
  // The page may go: it has told everything.
  proxy.portGone(port);
  assert.equal(proxy.running, 4);
  for (let done = 0; done < 4; done += 1) {
    assert.deepEqual(socket.sent.map((frame) => JSON.parse(frame)).filter(({ type }) => type === "api_response").map(({ ok, body }) => [ok, body.length]), Array(done).fill([true, 16 << 20]));
    socket.bufferedAmount = 0;
    await clock.pass(10);
  }
  assert.deepEqual(socket.types(), Array(4).fill("api_response"));
  assert.equal(proxy.running, 0);
});

test("an event that finds no room ends its stream: an error, and nothing after it", async () => {
  const { ask, say, head, frames, link, port, proxy, mine } = make();
  await ask({ response_mode: "sse" });
  head("text/event-stream");
  let room = 1;
  link.send = (text, end) => {
    if (!end && room === 0) return false;
    if (!end) room -= 1;
    return frames.push(JSON.parse(text));
  };
  say("chunk", { text: "data: 1\n\ndata: 2\n\n" });
  room = 9;
  say("chunk", { text: "data: 3\n\n" });
  say("end");
  assert.deepEqual(frames.map(({ type, seq, code }) => code ?? seq ?? type), ["stream_open", 1, "fetch_failed"]);
  assert.deepEqual([port.sent.at(-1).t, proxy.running, mine()], ["abort", 0, 0]);
});

test("the word that an answer failed finds room where nothing else does", async () => {
  const over = greetedLink();
  const { ask, proxy } = make({ over });
  await ask();
  over.socket.bufferedAmount = SOCKET_BYTES_HIGH;
  while (over.link.send("x".repeat(1 << 20)));
  while (over.link.send("{}"));
  proxy.cancel({ id: "r" });
  over.socket.bufferedAmount = 0;
  await over.clock.pass(10);
  assert.equal(JSON.parse(over.socket.sent.at(-1)).error, "request_cancelled");
});

test("bytes are counted as the wire has them", () => {
  for (const text of ["", "abc", "\u00e9", "\uffff\u0800", "\u{1f600}x", "\ud800", "\ud800\ud800", "\udc00\ud800x", "a\u{10ffff}\udfff"]) {
    const bytes = new TextEncoder().encode(text).length;
    assert.equal(bytesOf(text), bytes, JSON.stringify(text));
    assert.deepEqual([exceeds(text, bytes), exceeds(text, bytes - 1)], [false, true]);
  }
});

test("no frame is larger than the daemon reads, whatever it says", () => {
  const socket = { bufferedAmount: 0, sent: 0, send: () => (socket.sent += 1) };
  const outbox = new Outbox(socket, new Clock());
  assert.deepEqual([outbox.send("x".repeat(FRAME_BYTES_MAX)), outbox.send("\ufffd".repeat(14 << 20)), socket.sent], [true, false, 1]);
});

test("an answer whose frame would be larger than the daemon reads ends alone, not the connection", async () => {
  // 15 MiB that are no text: three bytes for each of them.
  const binary = "\ufffd".repeat(15 << 20);
  // Text that is six times as long once it is quoted.
  const control = "\u0001".repeat(8 << 20);
  for (const text of [binary, control]) {
    for (const [response_mode, type] of [["buffered", "text/plain"], ["sse", "text/plain"], ["sse", "text/event-stream"]]) {
      const { ask, say, head, frames, proxy } = make();
      await ask({ response_mode });
      head(type);
      say("chunk", { text: type === "text/plain" ? text : `data: ${text}\n\n` });
      say("end");
      assert.deepEqual(frames.map(({ type, error, code }) => error ?? code ?? type).filter((word) => word !== "stream_open"), ["response_too_large"]);
      assert.equal(proxy.running, 0);
    }
  }
});

test("a long event goes without its text as it stood; one that is too long ends its stream", async () => {
  const { ask, say, head, frames } = make();
  await ask({ response_mode: "sse" });
  head("text/event-stream");
  const long = "x".repeat(15 << 20);
  say("chunk", { text: `data: 1\n\ndata: ${long}\n\n` });
  assert.deepEqual(frames.slice(1).map(({ data, raw }) => [`${data}`.length, raw?.length]), [[1, 7], [15 << 20, undefined]]);
  say("chunk", { text: `data: ${long}${long}\n\ndata: 3\n\n` });
  assert.deepEqual([frames.length, frames.at(-1).code], [4, "response_too_large"]);
});

test("what waits of an event is counted in bytes", async () => {
  const { ask, say, head, frames } = make();
  await ask({ response_mode: "sse" });
  head("text/event-stream");
  say("chunk", { text: `data: ${"\u00e9".repeat(7 << 20)}` });
  assert.equal(frames.length, 1);
  say("chunk", { text: "\u00e9".repeat(2 << 20) });
  assert.equal(frames.at(-1).code, "response_too_large");
});

test("JSON goes as it came", async () => {
  const sent = await make().ask({ method: "POST", body: new JsonText("[12345678901234567890]") });
  assert.deepEqual([sent.body, sent.headers["content-type"]], ["[12345678901234567890]", "application/json"]);
});

test("of an answer's headers only those of the list leave, whatever the page says", async () => {
  for (const response_mode of ["buffered", "sse"]) {
    const { ask, say, frames } = make();
    await ask({ response_mode });
    const kept = { "content-type": "text/plain", "Retry-After": "1", "x-request-id": "7", "x-ratelimit-left": "0" };
    const other = { "set-cookie": "a=b", authorization: "secret", "x-content-type": "x", "x-ratelimit-": "x", "x-ratelimit-n": 5 };
    say("head", { status: 200, headers: { ...other, ...kept }, url: "https://claude.ai/api/x" });
    say("end");
    assert.deepEqual(frames[0].headers, kept);
  }
});

test("an answer without headers is one all the same", async () => {
  const { ask, say, frames } = make();
  await ask();
  say("head", { status: 204 });
  say("end");
  assert.deepEqual([frames[0].status, frames[0].headers], [204, {}]);
});

test("a piece that is too large is not sent on before its stream ends, and bytes count, not characters", async () => {
  for (const text of ["x".repeat(17 << 20), "\u00e9".repeat(9 << 20)]) {
    const { ask, say, head, frames } = make();
    await ask({ response_mode: "sse" });
    head("text/plain");
    say("chunk", { text });
    assert.deepEqual(frames.map(({ type, code }) => code ?? type), ["stream_open", "response_too_large"]);
  }
});
