import assert from "node:assert/strict";
import { test } from "node:test";
import { journal, start, told } from "../assets/state.js";
import { browser, NOW, target } from "./support.js";

const tell = (state, id, phase, more) => told(state, "request", { request_id: id, platform: "claude", phase, at: NOW, ...more });
const phases = (state) => [...state.requests.values()].map(({ request_id, phase }) => `${request_id} ${phase}`);

test("a request is followed through its phases", () => {
  const state = start();
  tell(state, "a", "queued", { method: "GET", path: "/p" });
  tell(state, "a", "admitted", { at: NOW + 1, client_id: "ff" });
  tell(state, "a", "dispatched", { at: NOW + 2 });
  tell(state, "a", "streaming", { at: NOW + 3 });
  tell(state, "a", "done", { at: NOW + 9, outcome: "success", status: 200, event_count: 2, bytes: 5 });
  const { requested_at, admitted_at, first_byte_at, finished_at, path, client_id, outcome } = state.requests.get("a");
  assert.deepEqual([requested_at, admitted_at, first_byte_at, finished_at, path, client_id, outcome], [NOW, NOW + 1, NOW + 3, NOW + 9, "/p", "ff", "success"]);
  assert.equal(state.series.steps.size, 1);
  tell(state, "a", "queued", { at: NOW + 20, path: "/again" });
  assert.deepEqual([state.requests.get("a").finished_at, state.requests.get("a").path], [undefined, "/again"]);
});

test("the journal fills in what was missed and takes nothing back that is newer", () => {
  const state = start();
  tell(state, "live", "queued", { at: NOW });
  tell(state, "live", "streaming", { at: NOW + 5 });
  tell(state, "lost", "queued", { at: NOW + 1 });
  const entry = (id, phase, more) => ({ request_id: id, platform: "claude", phase, requested_at: NOW, ...more });
  journal(state, [entry("live", "admitted"), entry("old", "done", { finished_at: NOW, outcome: "failure" })], true);
  assert.deepEqual(phases(state).sort(), ["live streaming", "old done"], "what is not told any more has ended");
  journal(state, [entry("live", "done", { finished_at: NOW + 9, outcome: "success" })], false);
  assert.equal(state.requests.get("live").phase, "done");
});

test("requests are bounded, and those under way stay the longest", () => {
  const state = start();
  tell(state, "live", "queued");
  for (let index = 0; index < 1_000; index += 1) tell(state, `r${index}`, "done", { outcome: "success" });
  assert.equal(state.requests.size, 300);
  assert.ok(state.requests.has("live") && state.requests.has("r999") && !state.requests.has("r0"));
  for (let index = 0; index < 400; index += 1) tell(state, `l${index}`, "queued");
  assert.equal(state.requests.size, 300);
});

test("a target's event replaces all that it could say, and an unknown target is a new one", () => {
  const state = { ...start(), browser: browser() };
  state.browser.policy.targets = [target({ circuit_state: "open", circuit_retry_at: 5, last_error: "http_429", last_success_at: 7 })];
  assert.deepEqual(told(state, "policy", target({ consecutive_failures: 0 })), ["browser"]);
  const [{ circuit_state, circuit_retry_at, last_error, last_success_at }] = state.browser.policy.targets;
  assert.deepEqual([circuit_state, circuit_retry_at, last_error, last_success_at], ["closed", undefined, undefined, 7]);
  told(state, "policy", target({ client_id: "other" }));
  assert.equal(state.browser.policy.targets.length, 2);
  told(state, "policy", { platform: "claude", waiting: 4 });
  assert.equal(state.browser.policy.platforms[0].waiting, 4);
});

test("events say what is to be asked for again, and a gap asks for everything", () => {
  const state = start();
  assert.deepEqual(told(state, "client_connected", {}), ["browser", "status", "pairings"]);
  assert.deepEqual(told(state, "instruction", {}), ["batches"]);
  assert.deepEqual(told(state, "gap", { missed: 3 }), ["browser", "status", "requests", "batches", "pairings"]);
  assert.deepEqual(told(state, "something_new", {}), []);
  told(state, "system", { mode: "paused", reason: null });
  assert.equal(state.system.mode, "paused");
});
