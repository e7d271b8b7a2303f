import assert from "node:assert/strict";
import { test } from "node:test";

import { EventStream, TooLarge } from "../platforms/event-stream.js";
import { FrameReader } from "../platforms/frames.js";
import { extractorFor } from "../platforms/index.js";
import { MAX_TEXT } from "../platforms/outcome.js";
import { cases } from "./support/fixtures.js";

function events(pieces, limit = 1000) {
  const found = [];
  const stream = new EventStream({ limit, onEvent: (event) => found.push(event) });
  for (const piece of pieces) stream.push(piece);
  stream.end();
  return found.map(({ event, data, whole }) => [event, data, whole]);
}

test("an event stream is read by its rules, wherever it is cut", () => {
  const text = "\uFEFFdata: a\r\rdata:b\r\ndata:  c\r\n\r\n:note\nevent: x\nid: 1\ndata\n\nevent: lost\n\ndata: 1\nother: 2\n\ndata: end";
  const expected = [["", "a", true], ["", "b\n c", true], ["x", "", true], ["", "1", true], ["", "end", false]];
  assert.deepEqual(events([text]), expected);
  assert.deepEqual(events(text.split("")), expected);
  for (let at = 0; at <= text.length; at += 1) assert.deepEqual(events([text.slice(0, at), text.slice(at)]), expected);
});

test("an event stream keeps no more than its limit", () => {
  const line = `data: ${"x".repeat(90)}\n`;
  assert.equal(events([line, "\n", line, "\n", line, "\n"], 100).length, 3);
  assert.throws(() => events([line, line], 100), TooLarge);
  assert.throws(() => events(["data: ", ..."x".repeat(200).split("")], 100), TooLarge);
});

function frames(pieces, limit = 1000) {
  const found = [];
  const reader = new FrameReader({ limit, onFrame: (frame) => found.push(frame) });
  for (const piece of pieces) reader.push(piece);
  return [found, reader.end()];
}

test("a frame's length counts UTF-16 units from the end of its digits", () => {
  const json = '[["🌊🌊 ö\\"]\\\\"]]';
  const text = `)]}'\n\n${json.length + 2}\n${json}\n8\n[["a"]]\n`;
  const expected = [[[["🌊🌊 ö\"]\\"]], [["a"]]], false];
  assert.deepEqual(frames([text]), expected);
  for (let at = 0; at <= text.length; at += 1) assert.deepEqual(frames([text.slice(0, at), text.slice(at)]), expected);
});

test("frames keep no more than their limit", () => {
  assert.throws(() => frames([")]}'\n\n2000\n"]), TooLarge);
  assert.throws(() => frames([`)]}'\n\n[["${"x".repeat(2000)}`]), TooLarge);
  assert.throws(() => frames([")]}'\n\n9", "9".repeat(20)]), /frame_length/);
});

const text = "x".repeat(64 * 1024);
const event = (value) => `data: ${JSON.stringify(value)}\n\n`;

/** Endless answers of each platform: the beginning, and the part that is repeated. */
const ENDLESS = {
  "claude, in many deltas": ["claude", event({ type: "message_start", message: { id: "m" } }),
    event({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text } })],
  "claude, in older events": ["claude", "", event({ type: "completion", completion: text })],
  "claude, in one line": ["claude", "data: ", text],
  "chatgpt, in many deltas": ["chatgpt", event({ v: { message: { author: { role: "assistant" }, content: { parts: [""] } } } })
    + event({ p: "/message/content/parts/0", o: "append", v: "" }), event({ v: text })],
  "chatgpt, in one line": ["chatgpt", "data: ", text],
  "gemini, in one frame": ["gemini", ")]}'\n\n[[\"", text],
  "gemini, before any": ["gemini", ")]}'\n\n9999999999\n", text],
};

for (const [name, [platform, beginning, repeated]] of Object.entries(ENDLESS)) {
  test(`an endless answer is too large: ${name}`, () => {
    const module = extractorFor(platform);
    const extractor = module.extractor(cases(platform)[0].request);
    extractor.push(beginning);
    for (let size = 0; size < MAX_TEXT * 6; size += repeated.length) extractor.push(repeated);
    assert.deepEqual(extractor.end(true), { drift: "too_large" });
  });
}

test("many snapshots of an answer do not add up", () => {
  const request = cases("chatgpt")[0].request;
  const extractor = extractorFor("chatgpt").extractor({ ...request, requestBody: null, pageUrl: "" });
  const snapshot = (parts, status) => event({ message: { id: "m", author: { role: "assistant" }, status, content: { content_type: "text", parts } } });
  for (let at = 0; at < 200; at += 1) extractor.push(snapshot([text, text], "in_progress"));
  extractor.push(snapshot([text], "finished"));
  assert.deepEqual(extractor.end(true), { message: { raw_text: text, assistant_message_id: "m" } });
});
