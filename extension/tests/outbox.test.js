import assert from "node:assert/strict";
import test from "node:test";
import { bytesOf, exceeds, FRAME_BYTES_MAX, Outbox } from "../background/outbox.js";
import { Clock } from "./support/fakes.js";

test("bytes are counted in UTF-8", () => {
  for (const text of ["", "abc", "\u00e9", "\uffff\u0800", "\u{1f600}x", "\ud800", "\ud800\ud800", "\udc00\ud800x", "a\u{10ffff}\udfff"]) {
    const bytes = new TextEncoder().encode(text).length;
    assert.equal(bytesOf(text), bytes, JSON.stringify(text));
    assert.deepEqual([exceeds(text, bytes), exceeds(text, bytes - 1)], [false, true]);
  }
});

test("no frame is larger than the daemon accepts", () => {
  const socket = { bufferedAmount: 0, sent: 0, send: () => (socket.sent += 1) };
  const outbox = new Outbox(socket, new Clock());
  assert.deepEqual([outbox.send("x".repeat(FRAME_BYTES_MAX)), outbox.send("\ufffd".repeat(14 << 20)), socket.sent], [true, false, 1]);
});
