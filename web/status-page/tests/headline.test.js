import assert from "node:assert/strict";
import { test } from "node:test";
import { headline } from "../assets/headline.js";
import { start } from "../assets/state.js";
import { browser, NOW, record, status, target } from "./support.js";

const of = (more) => headline({ ...start(), access: "all", link: "live", status: status(), browser: browser(), ...more }, NOW);

test("a daemon without trouble is well", () => {
  assert.deepEqual(of({}), { level: "good", title: "All is well.", items: [] });
});

test("one trouble is the sentence itself, several are counted, the heaviest first", () => {
  const one = of({ status: status({ mode: "paused" }) });
  assert.deepEqual([one.level, one.title, one.items.length], ["wait", "The system is paused.", 1]);
  const two = of({ status: status({ mode: "draining" }), browser: browser({ clients: [] }) });
  assert.deepEqual([two.level, two.title], ["bad", "2 things need you."]);
  assert.deepEqual(two.items.map(({ what }) => what), ["No Firefox is connected.", "The system is draining."]);
});

test("each trouble has its sentence, its next step and its place", () => {
  const lost = record("claude", "ff", "lost", { account: "ada", live: { credentials: { freshness: "lost", last_seen_at: 1 } } });
  const open = target({ circuit_state: "open", circuit_retry_at: NOW + 40_001, consecutive_failures: 5, last_error: "http_429" });
  for (const [more, level, what, said, at] of [
    [{ status: status({ store: { status: "unavailable", faults: ["disk full"] } }) }, "bad", "The database cannot be read or written.", "disk full", null],
    [{ browser: browser({ records: [lost] }) }, "bad", "You are logged out of Claude.", "(ada, ff)", "logins"],
    [{ browser: browser({ platforms: [{ platform: "claude", title: "Claude", ready: false }], records: [] }) }, "wait", "No platform is logged in.", "log in there", "logins"],
    [{ browser: browser({ policy: { ...browser().policy, targets: [open] } }) }, "bad", "The circuit of Claude is open.", "ff: refuses after 5 failures, next probe in 41 s, the last one: HTTP 429.", "targets"],
    [{ batches: [{ batch_id: "b" }] }, "wait", "1 batch of instructions waits for your decision.", "approve or reject", "batches"],
    [{ pairings: [{ client_id: "n", status: "waiting" }, { client_id: "o", status: "paired" }] }, "wait", "1 Firefox waits for pairing.", "code", "pairings"],
    [{ status: status({ mode: "paused" }), system: { mode: "paused", reason: "lunch" } }, "wait", "The system is paused.", "lunch", "mode"],
  ]) {
    const { level: is, title, items } = of(more);
    assert.deepEqual([is, title, items.length, items[0].at], [level, what, 1, at], what);
    assert.ok(items[0].more.includes(said), items[0].more);
  }
});

test("a login that was only not seen lately, a platform never used and a rest are no trouble", () => {
  const records = [record("claude", "ff", "lost"), record("claude", "gone", "stale", { live: null })];
  const resting = target({ backoff_until: NOW + 9_000, consecutive_failures: 1 });
  assert.equal(of({ browser: browser({ records, policy: { ...browser().policy, targets: [resting] } }) }).title, "All is well.");
});

test("what keeps the page from knowing comes before all else", () => {
  assert.equal(of({ reachable: false }).title, "The daemon does not answer.");
  assert.equal(of({ access: "none", status: null }).title, "Log in to see the status.");
  assert.match(of({ access: "none", refused: "Too late." }).items[0].more, /Too late/);
  assert.match(of({ elsewhere: "http://x/v1/status/ui", browser: null }).items[0].more, /http:\/\/x/);
  assert.equal(of({ status: null }).title, "Loading…");
  const refused = of({ refused: "Too late." });
  assert.deepEqual([refused.level, refused.title, refused.items.length], ["good", "All is well.", 1]);
});
