import assert from "node:assert/strict";
import test from "node:test";
import { AnswerFramer } from "../background/answer-framer.js";
import { EventSplitter } from "../background/events.js";
import { Clock } from "./support/fakes.js";

const lines = [
  ": a comment",
  "",
  "event: completion",
  'data: {"completion":"Hél"}',
  "",
  "id: 7",
  "data: one",
  "data:two",
  "data",
  "",
  "retry: 100",
  "",
  "event: ping",
  "",
  "data: [DONE]",
  "",
  "",
];
const wanted = [
  { event: "completion", data: '{"completion":"Hél"}' },
  { event: "message", data: "one\ntwo\n" },
  { event: "message", data: "[DONE]" },
];

const read = (pieces) => {
  const splitter = new EventSplitter();
  return [...pieces.flatMap((piece) => splitter.push(piece)), ...splitter.end()].map(({ event, data }) => ({ event, data }));
};

for (const [name, end] of [["LF", "\n"], ["CRLF", "\r\n"], ["CR", "\r"]]) {
  test(`events are found in a stream cut anywhere, with ${name}`, () => {
    const text = lines.join(end);
    assert.deepEqual(read([text]), wanted);
    assert.deepEqual(read([...text]), wanted);
    for (let cut = 0; cut <= text.length; cut += 1) {
      assert.deepEqual(read([text.slice(0, cut), text.slice(cut)]), wanted, `cut at ${cut}`);
      for (let more = cut; more <= text.length; more += 1) {
        assert.deepEqual(read([text.slice(0, cut), text.slice(cut, more), text.slice(more)]), wanted, `${cut} ${more}`);
      }
    }
  });
}

test("an event is returned at its blank line, with its original text", () => {
  const splitter = new EventSplitter();
  assert.deepEqual(splitter.push("event: e\r\ndata: 1\r\n"), []);
  assert.deepEqual(splitter.push("\r\n"), [{ event: "e", data: "1", raw: "event: e\r\ndata: 1" }]);
  assert.equal(splitter.waiting, 0);
});

test("an event without its blank line counts at the end", () => {
  assert.deepEqual(read(["data: 1\n\ndata: 2"]), [{ event: "message", data: "1" }, { event: "message", data: "2" }]);
  assert.deepEqual(read(["data: 1\n\n: nothing"]), [{ event: "message", data: "1" }]);
});

function answer({ stream = true, type = "text/event-stream", status = 200, max = 1_000 } = {}) {
  const clock = new Clock();
  const sent = [];
  const made = new AnswerFramer({ ...clock, id: "a", stream_id: "s", stream, status, max, headers: { "content-type": type }, meta: {}, send: (text) => sent.push(JSON.parse(text)) });
  made.open();
  return { clock, made, sent };
}

test("a stream is opened, numbered and ended", () => {
  const { made, sent } = answer();
  made.push('data: {"a":1}\n\nevent: x\ndata: text\n\n');
  made.end();
  assert.deepEqual(sent.map(({ type, seq, event, data }) => ({ type, seq, event, data })), [
    { type: "stream_open", seq: undefined, event: undefined, data: undefined },
    { type: "stream_event", seq: 1, event: "message", data: { a: 1 } },
    { type: "stream_event", seq: 2, event: "x", data: "text" },
    { type: "stream_end", seq: undefined, event: undefined, data: undefined },
  ]);
});

test("pieces of a stream without events are joined for 4 ms", async () => {
  const { clock, made, sent } = answer({ type: "text/plain" });
  made.push("one ");
  made.push("two");
  assert.equal(sent.length, 1);
  await clock.pass(4);
  made.push("three");
  made.end();
  assert.deepEqual(sent.slice(1).map(({ data }) => data), ["one two", "three", undefined]);
});

test("a streamed request that is answered with JSON or an error has one event", async () => {
  for (const [options, pieces, data] of [
    [{ type: "application/json" }, ['{"a"', ":1}"], { a: 1 }],
    [{ type: "text/html", status: 403 }, ["no", "pe"], "nope"],
  ]) {
    const { clock, made, sent } = answer(options);
    for (const piece of pieces) {
      made.push(piece);
      await clock.pass(50);
    }
    made.end();
    assert.deepEqual(sent.map(({ type }) => type), ["stream_open", "stream_event", "stream_end"]);
    assert.deepEqual(sent[1].data, data);
  }
});

test("a whole answer is sent as JSON if it is JSON, and as an error by its status", () => {
  const { made, sent } = answer({ stream: false, type: "application/json", status: 429 });
  made.push('{"error":');
  made.push('"slow"}');
  made.end();
  assert.deepEqual(sent, [{ type: "api_response", id: "a", ok: false, status: 429, error: "http_429", headers: { "content-type": "application/json" }, body: { error: "slow" } }]);
});

test("an answer over the limit is refused", () => {
  assert.equal(answer({ stream: false }).made.push("x".repeat(1_001)), false);
  assert.equal(answer({}).made.push(`data: ${"x".repeat(1_001)}`), false);
  const { made } = answer({});
  for (let i = 0; i < 100; i += 1) assert.equal(made.push(`data: ${"x".repeat(500)}\n\n`), true);
});
