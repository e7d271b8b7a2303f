import assert from "node:assert/strict";
import test from "node:test";
import { probe, PROBE_MAX_MS } from "../background/probe.js";
import { Clock } from "./support/fakes.js";

const ADDRESS = "ws://127.0.0.1:4317/ws/firefox";

test("a probe succeeds with any answer, and fails without one in time", async () => {
  const clock = new Clock();
  const asked = [];
  const answers = (fetch) => probe(ADDRESS, { ...clock, fetch });
  assert.equal(await answers(async (url, { mode }) => asked.push([url, mode])), true);
  assert.deepEqual(asked, [["http://127.0.0.1:4317/health", "no-cors"]]);
  assert.equal(await answers(() => Promise.reject(new TypeError("refused"))), false);
  const silent = answers((url, { signal }) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))));
  await clock.pass(PROBE_MAX_MS);
  assert.equal(await silent, false);
  assert.equal(clock.next, Infinity);
});
