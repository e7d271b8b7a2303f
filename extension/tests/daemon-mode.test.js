import assert from "node:assert/strict";
import test from "node:test";
import { DaemonMode } from "../background/daemon-mode.js";

function system({ connected = true } = {}) {
  const sent = [];
  const timers = new Map();
  const parts = { sent, timers, changes: 0 };
  parts.system = new DaemonMode({
    send: (frame) => sent.push(JSON.parse(frame)),
    isConnected: () => connected,
    setTimeout: (work, ms) => {
      timers.set(timers.size + 1, { work, ms });
      return timers.size;
    },
    clearTimeout: (id) => timers.delete(id),
    changed: () => (parts.changes += 1),
  });
  return parts;
}

test("a requested mode is answered by the daemon", async () => {
  const { system: mode, sent, timers } = system();
  const [paused, resumed] = [mode.request("pause"), mode.request("resume")];
  assert.deepEqual(sent, [
    { type: "action_request", action: "pause", request_id: "mode-1" },
    { type: "action_request", action: "resume", request_id: "mode-2" },
  ]);
  mode.actionAnswered({ request_id: "mode-2", action: "resume", ok: false, system: { mode: "paused", changed_at: 7, reason: "lunch" } });
  mode.actionAnswered({ request_id: "mode-1", action: "pause", ok: true, system: { mode: "paused", changed_at: 7, reason: "lunch" } });
  assert.deepEqual([await paused, await resumed], [true, false]);
  assert.deepEqual(mode.state, { mode: "paused", changed_at: 7, reason: "lunch" });
  assert.equal(timers.size, 0, "nothing waits any more");
});

test("unknown actions and actions while disconnected fail", async () => {
  const { system: mode, sent } = system({ connected: false });
  assert.equal(await mode.request("pause"), false);
  const other = system();
  assert.equal(await other.system.request("reboot"), false);
  assert.deepEqual([...sent, ...other.sent], []);
});

test("a lost connection and a missing answer settle pending requests", async () => {
  const { system: mode, timers } = system();
  mode.modeReported({ mode: "running", changed_at: 1 });
  const asked = mode.request("drain");
  mode.lost();
  assert.deepEqual([await asked, mode.state], [false, null]);
  const late = mode.request("drain");
  const [{ work, ms }] = timers.values();
  assert.equal(ms, 10_000);
  work();
  assert.equal(await late, false);
});

test("a snapshot without a mode changes nothing", () => {
  const parts = system();
  parts.system.modeReported({ mode: "draining", changed_at: 3, reason: null });
  parts.system.modeReported(undefined);
  assert.deepEqual([parts.system.state.mode, parts.changes], ["draining", 1]);
});
