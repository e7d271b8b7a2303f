import assert from "node:assert/strict";
import { test } from "node:test";
import { Source } from "../assets/source.js";

const EVENTS = { status: 200, headers: { "content-type": "text/event-stream" } };

/** Returns the events of a stream that arrives in these pieces, until it ends. */
async function told(pieces, seen, init = EVENTS) {
  const asked = [];
  const body = new ReadableStream({
    start(to) {
      for (const piece of pieces) to.enqueue(piece);
      to.close();
    },
  });
  const source = new Source("/v1/events", { seen, ask: async (path, options) => (asked.push([path, options.headers["last-event-id"]]), new Response(body, init)) });
  const heard = [];
  for (const name of ["open", "request", "message"]) source.addEventListener(name, ({ data }) => heard.push([name, data]));
  await new Promise((done) => source.addEventListener("error", done));
  return { asked, heard, source };
}

test("events are read however they were cut, and the next stream goes on after the last", async () => {
  const bytes = new TextEncoder().encode(': here\n\nid: 7\nevent: request\ndata: {"a":"\u00e4"}\n\ndata: 1\ndata:2\n\nid: 8\nevent: request\ndata: cut');
  const seen = {};
  const { asked, heard, source } = await told([...bytes].map((byte) => Uint8Array.of(byte)), seen);
  assert.deepEqual(heard, [["open", undefined], ["request", '{"a":"\u00e4"}'], ["message", "1\n2"]]);
  assert.deepEqual([asked, source.readyState, seen], [[["/v1/events", undefined]], source.CLOSED, { id: "7" }]);
  assert.deepEqual((await told([], seen)).asked, [["/v1/events", "7"]]);
});

test("a refusal and another kind of answer open nothing", async () => {
  for (const init of [{ status: 401, headers: EVENTS.headers }, { status: 200, headers: { "content-type": "application/json" } }]) {
    assert.deepEqual((await told([], {}, init)).heard, []);
  }
});

test("one that was closed tells nothing more", async () => {
  let signal;
  const source = new Source("/v1/events", { seen: {}, ask: (_, options) => new Promise((_, fail) => options.signal.addEventListener("abort", () => fail((signal = options.signal).reason))) });
  source.addEventListener("error", () => assert.fail("it was asked for"));
  source.close();
  await new Promise((done) => setImmediate(done));
  assert.equal(signal.aborted, true);
});
