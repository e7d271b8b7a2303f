import assert from "node:assert/strict";
import { test } from "node:test";
import { start } from "../assets/state.js";
import { clientViews, loginViews, pacingViews, requestViews, targetViews, tiles } from "../assets/views.js";
import { browser, client, NOW, record, status, tab, target } from "./support.js";

test("a Firefox is shown with its tabs", () => {
  const gone = tab("chatgpt", { actual: { exists: false, healthy: false }, drift: { needs_restore: true } });
  const crashed = tab("gemini", { actual: { healthy: false, issue: "navigated_away" } });
  const [view] = clientViews(browser({ clients: [client("ff", { shell_runtime: [tab("claude"), gone, crashed], in_flight: 2 })] }), NOW);
  assert.deepEqual([view.name, view.isActive, view.facts], ["ff", true, "Connected 1 min ago, last message just now, 2 requests in progress"]);
  assert.deepEqual(view.tabs.map(({ platform, text, level }) => [platform, text, level]), [["Claude", "ready", "good"], ["ChatGPT", "gone", "wait"], ["gemini", "navigated away", "wait"]]);
});

test("a login has its state, its age and its next step", () => {
  const lost = { live: { credentials: { freshness: "lost", last_seen_at: NOW - 3_600_000 } }, persisted: null };
  const restore = tab("claude", { actual: { exists: false, healthy: false }, drift: { needs_restore: true } });
  for (const [state, tabs, more, text, next, action] of [
    ["fresh", [tab("claude")], {}, "logged in", "", null],
    ["fresh", [restore], {}, "logged in", "Its tab is closed.", "tab_restore"],
    ["lost", [tab("claude")], lost, "logged out", "Log in again there.", "tab_focus"],
    ["lost", [], lost, "logged out", "Log in again there.", "tab_open"],
    ["lost", [tab("claude")], {}, "not seen lately", "Check whether it is still valid.", "tab_reload"],
    ["stale", [], {}, "not seen lately", "Check whether it is still valid.", "tab_open"],
    ["stale", [], { client_id: "away", live: null }, "Firefox is not connected", "Start that Firefox.", null],
    ["fresh", [], { live: null }, "logged in", "", null],
  ]) {
    const shown = browser({ clients: [client("ff", { shell_runtime: tabs })], records: [record("claude", "ff", state, more)] });
    const view = loginViews(shown, NOW)[0];
    assert.deepEqual([view.text, view.next.text, view.next.action], [text, next, action], `${state} ${JSON.stringify(more)}`);
  }
  const [, never] = loginViews(browser(), NOW);
  assert.deepEqual([never.platform, never.text, never.next.action], ["ChatGPT", "never seen", "tab_open"]);
  const [alone] = loginViews(browser({ clients: [], records: [], platforms: [{ platform: "x", title: "X" }] }), NOW);
  assert.equal(alone.next.action, null);
});

test("a target says in words what it does", () => {
  for (const [more, words] of [
    [{}, "Available"],
    [{ consecutive_failures: 1, backoff_until: NOW + 3_000 }, "In back-off for another 3 s after 1 failure"],
    [{ consecutive_failures: 2, backoff_until: NOW }, "Available after 2 failures"],
    [{ circuit_state: "half_open" }, "A probe is in progress"],
    [{ circuit_state: "open", circuit_retry_at: NOW, consecutive_failures: 5 }, "Refused after 5 failures; the next request is the probe"],
  ]) {
    const shown = browser();
    shown.policy.targets = [target(more)];
    assert.equal(targetViews(shown, NOW)[0].words, words);
  }
});

test("pacing is shown with the limits that hold for the platform", () => {
  const shown = browser();
  shown.policy.platforms.push({ platform: "chatgpt", recent_dispatch_count: 2, waiting: 1, next_slot_at: NOW + 1_500, limits: { rate_limit: { requests_per_minute_per_platform: 2, window_ms: 120_000 } } });
  assert.deepEqual(pacingViews(shown, NOW).map(({ sent, waiting, next }) => [sent, waiting, next]), [["3 of 10 in 1 min", "0", "now"], ["2 of 2 in 2 min", "1", "in 2 s"]]);
});

test("requests under way stand first, and each says what it waits for or how it ended", () => {
  const state = { ...start(), browser: browser() };
  const put = (id, phase, more) => state.requests.set(id, { request_id: id, platform: "claude", phase, requested_at: NOW - 5_000, ...more });
  put("ok", "done", { finished_at: NOW - 3_000, outcome: "success", status: 200, event_count: 3, bytes: 2_048 });
  put("bad", "done", { finished_at: NOW - 2_000, outcome: "failure", status: 429, error_code: "browser_upstream_error" });
  put("cut", "done", { finished_at: NOW - 4_000, outcome: "cancelled", error_code: "request_cancelled" });
  put("live", "queued", { waiting: { rule: "rate_limit", until: NOW + 9_000 }, method: "GET", path: "/a\u202eb" });
  const rows = requestViews(state, NOW, 10);
  assert.deepEqual(rows.map(({ id, level, phase, detail, took }) => [id, level, phase, detail, took]), [
    ["live", "live", "queued", "waits for the window, 9 s", "5.00 s"],
    ["bad", "bad", "failed", "browser upstream error, 429", "3.00 s"],
    ["ok", "good", "done", "200", "2.00 s"],
    ["cut", "none", "cancelled", "request cancelled", "1.00 s"],
  ]);
  assert.deepEqual([rows[0].call, rows[0].cancel.request_id, rows[1].cancel, rows[2].size], ["GET /a\\u{202e}b", "live", null, "3 events, 2.0 KiB"]);
  assert.equal(requestViews(state, NOW, 2).length, 2);
});

test("the numbers above all come from what is known", () => {
  const state = { ...start(), status: status(), browser: browser() };
  state.browser.policy.targets = [target({ circuit_state: "open", waiting: 2 })];
  assert.deepEqual(tiles(state).map(({ value }) => value), ["1", "1 of 2", "0", "2", "1"]);
  assert.deepEqual(tiles({ ...start(), status: status() }).map(({ value }) => value), ["1", "–", "0", "0", "0"]);
  assert.deepEqual(tiles(start()).map(({ value }) => value), ["–", "–", "–", "–", "–"]);
});
