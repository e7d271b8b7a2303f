import assert from "node:assert/strict";
import { test } from "node:test";
import { Live } from "../assets/live.js";

class Source extends EventTarget {
  CLOSED = 2;
  readyState = 0;

  tell(name, data) {
    this.dispatchEvent(Object.assign(new Event(name), { data }));
  }

  /** `isOver`: it will not come back by itself. */
  fail(isOver) {
    this.readyState = isOver ? 2 : 0;
    this.dispatchEvent(new Event("error"));
  }

  close() {
    this.readyState = 2;
  }
}

function stage() {
  const seen = { sources: [], waits: [], told: [], links: [] };
  const live = new Live({
    make: () => seen.sources[seen.sources.push(new Source()) - 1],
    later: (act, ms) => seen.waits.push({ act, ms }),
    told: (name, data) => seen.told.push([name, data]),
    link: (isLive) => seen.links.push(isLive),
  });
  live.open();
  return { live, seen };
}

test("events are passed on by their names, and what cannot be read is left out", () => {
  const { seen } = stage();
  const [source] = seen.sources;
  source.tell("request", '{"phase":"queued"}');
  source.tell("gap", '{"missed":3}');
  source.tell("request", "{");
  assert.deepEqual(seen.told, [["request", { phase: "queued" }], ["gap", { missed: 3 }]]);
});

test("a stream that comes back by itself is left to do so", () => {
  const { seen } = stage();
  seen.sources[0].tell("open");
  seen.sources[0].fail(false);
  seen.sources[0].tell("open");
  assert.deepEqual([seen.links, seen.waits.length, seen.sources.length], [[true, false, true], 0, 1]);
});

test("a stream that was refused is asked for again, ever more rarely, until it opens", () => {
  const { seen } = stage();
  for (let index = 0; index < 7; index += 1) {
    seen.sources.at(-1).fail(true);
    seen.waits.at(-1).act();
  }
  assert.deepEqual(seen.waits.map(({ ms }) => ms), [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  seen.sources.at(-1).tell("open");
  seen.sources.at(-1).fail(true);
  assert.equal(seen.waits.at(-1).ms, 1_000);
});

test("one that is opened anew, as after a login, closes the old one and hears it no more", () => {
  const { live, seen } = stage();
  seen.sources[0].fail(true);
  live.open();
  assert.equal(seen.sources[0].readyState, 2);
  seen.waits[0].act();
  assert.equal(seen.sources.length, 2, "the one that waited is not opened beside it");
  const links = seen.links.length;
  seen.sources[0].fail(true);
  assert.equal(seen.links.length, links);
});
