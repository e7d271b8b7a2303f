import assert from "node:assert/strict";
import test from "node:test";
import { SOCKET_BYTES_HIGH } from "../background/outbox.js";
import { settled } from "./support/fakes.js";
import { connectedLink } from "./support/link.js";
import { makeProxy } from "./support/proxy.js";

test("an answer that is too large fails", async () => {
  const { ask, say, head, frames, port } = makeProxy();
  await ask();
  head();
  say("fail", { code: "response_too_large", message: "x" });
  assert.equal(frames[0].error, "response_too_large");
  const stream = makeProxy();
  await stream.ask({ response_mode: "sse" });
  stream.head("text/event-stream");
  stream.say("chunk", { text: `data: ${"x".repeat(17 << 20)}` });
  assert.deepEqual([stream.frames.at(-1).code, stream.port.sent.at(-1).t, port.sent.length], ["response_too_large", "abort", 1]);
});

test("the page reads on only when the outbox has room", async () => {
  const { ask, say, head, link, port, rooms } = makeProxy();
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

test("large answers on a busy link are sent one after the other", async () => {
  const over = connectedLink();
  const { ask, proxy, port } = makeProxy({ over });
  const { clock, socket } = over;
  // The socket sends its buffer at the next drain.
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
  // The page is no longer needed.
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

test("an event without room ends its stream with an error", async () => {
  const { ask, say, head, frames, link, port, proxy, mine } = makeProxy();
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

test("the error of an answer has extra room", async () => {
  const over = connectedLink();
  const { ask, proxy } = makeProxy({ over });
  await ask();
  over.socket.bufferedAmount = SOCKET_BYTES_HIGH;
  while (over.link.send("x".repeat(1 << 20)));
  while (over.link.send("{}"));
  proxy.cancel({ id: "r" });
  over.socket.bufferedAmount = 0;
  await over.clock.pass(10);
  assert.equal(JSON.parse(over.socket.sent.at(-1)).error, "request_cancelled");
});

test("an answer whose frame would be too large fails alone, not the connection", async () => {
  // 15 MiB of invalid text, with three bytes per character.
  const binary = "\ufffd".repeat(15 << 20);
  // Text that is six times as long as a JSON string.
  const control = "\u0001".repeat(8 << 20);
  for (const text of [binary, control]) {
    for (const [response_mode, type] of [["buffered", "text/plain"], ["sse", "text/plain"], ["sse", "text/event-stream"]]) {
      const { ask, say, head, frames, proxy } = makeProxy();
      await ask({ response_mode });
      head(type);
      say("chunk", { text: type === "text/plain" ? text : `data: ${text}\n\n` });
      say("end");
      assert.deepEqual(frames.map(({ type, error, code }) => error ?? code ?? type).filter((word) => word !== "stream_open"), ["response_too_large"]);
      assert.equal(proxy.running, 0);
    }
  }
});

test("a long event is sent without raw, and one over the limit ends its stream", async () => {
  const { ask, say, head, frames } = makeProxy();
  await ask({ response_mode: "sse" });
  head("text/event-stream");
  const long = "x".repeat(15 << 20);
  say("chunk", { text: `data: 1\n\ndata: ${long}\n\n` });
  assert.deepEqual(frames.slice(1).map(({ data, raw }) => [`${data}`.length, raw?.length]), [[1, 7], [15 << 20, undefined]]);
  say("chunk", { text: `data: ${long}${long}\n\ndata: 3\n\n` });
  assert.deepEqual([frames.length, frames.at(-1).code], [4, "response_too_large"]);
});

test("an incomplete event is counted in bytes", async () => {
  const { ask, say, head, frames } = makeProxy();
  await ask({ response_mode: "sse" });
  head("text/event-stream");
  say("chunk", { text: `data: ${"\u00e9".repeat(7 << 20)}` });
  assert.equal(frames.length, 1);
  say("chunk", { text: "\u00e9".repeat(2 << 20) });
  assert.equal(frames.at(-1).code, "response_too_large");
});

test("a piece over the limit, in bytes, is not sent before its stream ends", async () => {
  for (const text of ["x".repeat(17 << 20), "\u00e9".repeat(9 << 20)]) {
    const { ask, say, head, frames } = makeProxy();
    await ask({ response_mode: "sse" });
    head("text/plain");
    say("chunk", { text });
    assert.deepEqual(frames.map(({ type, code }) => code ?? type), ["stream_open", "response_too_large"]);
  }
});
