import assert from "node:assert/strict";
import test from "node:test";
import { FLUSH_MAX_MS } from "../background/link.js";
import { QUEUE_FRAMES_MAX, SOCKET_BYTES_HIGH } from "../background/outbox.js";
import { Reporter } from "../background/reporter.js";
import { Router } from "../background/router.js";
import { Clock, settled } from "./support/fakes.js";
import { connectedLink } from "./support/link.js";

const runtime = (platform, exists = true) => ({ platform, desired: { exists }, actual: { exists, tab_id: 7 }, drift: { aligned: true } });

function make(tabs = {}, over = {}) {
  const frames = [];
  const done = [];
  const result = (ok, more = {}) => ({ ok, platform: "claude", restored: false, shell_runtime: runtime("claude"), tab_id: 7, ...more });
  const link = { send: (text) => frames.push(JSON.parse(text)), reconnect: () => done.push("reconnect"), flushed: () => undefined };
  const router = new Router({
    link,
    system: {
      modeReported: (system) => system && done.push(`system ${system.mode}`),
      actionAnswered: ({ request_id, ok }) => done.push(`answered ${request_id} ${ok}`),
    },
    messages: { confirmed: (known) => done.push(`confirmed ${known?.length}`) },
    proxy: { request: ({ id }) => done.push(`request ${id}`), cancel: ({ id }) => done.push(`cancel ${id}`) },
    report: { reportAll: (names) => done.push(`report ${names}`) },
    shells: {
      names: ["chatgpt", "claude"],
      platform: (name) => (name === "nowhere" ? undefined : { platform: name }),
      runtime: (name) => runtime(name),
    },
    tabs: {
      open: async (name, { focus }) => (done.push(`open ${name} ${focus}`), result(true)),
      reload: async (name) => (done.push(`reload ${name}`), result(true)),
      restore: async (name) => (done.push(`restore ${name}`), [result(true, { restored: true })]),
      ...tabs,
    },
    log: () => {},
    clientId: () => "firefox-1",
    reloadExtension: () => done.push("reload extension"),
    ...over,
  });
  const ask = async (type, more = {}) => {
    router.frame({ type, request_id: "a", action: type, ...more });
    await settled();
    return frames.at(-1);
  };
  return { router, ask, done, link, frames, result };
}

test("every command is performed and answered", async () => {
  const { ask, done, frames } = make();
  const answer = await ask("open_tab", { action: "tab_focus", platform: "claude" });
  assert.deepEqual(answer, {
    type: "action_result", request_id: "a", action: "tab_focus", command_type: "open_tab", accepted: true, completed: true, failed: false,
    target: { platform: "claude", requested_client_id: "firefox-1", requested_platform: "claude" },
    results: [{ ok: true, platform: "claude", restored: false, shell_runtime: runtime("claude"), tab_id: 7 }],
    shell_runtime: [runtime("claude")],
  });
  await ask("open_tab", { action: "tab_open", platform: "claude" });
  await ask("reload", { action: "tab_reload", platform: "claude" });
  await ask("tab_restore");
  const status = await ask("plugin_status");
  assert.deepEqual(status.shell_runtime.map(({ platform }) => platform), ["chatgpt", "claude"]);
  await ask("request_credentials", { platform: "claude" });
  assert.deepEqual(done, ["open claude true", "open claude false", "reload claude", "restore undefined", "report claude"]);
  assert.equal(frames.length, 6);
});

test("reconnecting and restarting follow the answer", async () => {
  for (const [type, completed, what] of [["ws_reconnect", false, "reconnect"], ["controller_reload", true, "reload extension"]]) {
    const { ask, done, link } = make();
    const { send } = link;
    link.send = (text) => (send(text), done.push("answer"));
    assert.equal((await ask(type)).completed, completed);
    assert.deepEqual(done, ["answer", what]);
  }
});

test("on a busy link the extension restarts once its answer is sent, or after a limited time", async () => {
  for (const reads of [true, false]) {
    const { clock, link, socket } = connectedLink();
    const { ask, done } = make({}, { link });
    socket.bufferedAmount = SOCKET_BYTES_HIGH;
    for (let i = 0; i < QUEUE_FRAMES_MAX; i += 1) link.send('{"type":"progress"}');
    await ask("controller_reload");
    await clock.pass(reads ? 100 : FLUSH_MAX_MS - 1);
    assert.deepEqual(done, []);
    if (reads) socket.bufferedAmount = 0;
    await clock.pass(10);
    assert.deepEqual([done, socket.types().includes("action_result")], [["reload extension"], reads]);
  }
});

test("on a busy link a new connection is made once the answer is sent", async () => {
  const { clock, link, socket } = connectedLink();
  const { ask } = make({}, { link });
  socket.bufferedAmount = SOCKET_BYTES_HIGH;
  for (let i = 0; i < QUEUE_FRAMES_MAX; i += 1) link.send('{"type":"progress"}');
  await ask("ws_reconnect");
  await clock.pass(100);
  assert.equal(socket.closed, null);
  socket.bufferedAmount = 0;
  await clock.pass(10);
  assert.deepEqual([socket.types().at(-1), socket.closed?.code], ["action_result", 1000]);
});

test("a command that failed is not followed by its effect", async () => {
  const { ask, done } = make();
  for (const type of ["ws_reconnect", "controller_reload"]) {
    const { failed, reason } = await ask(type, { platform: "nowhere" });
    assert.deepEqual([failed, reason], [true, "platform_not_supported"]);
  }
  assert.deepEqual(done, []);
});

test("a failed command is answered too", async () => {
  const unknown = await make().ask("open_tab", { platform: "nowhere" });
  assert.deepEqual([unknown.failed, unknown.reason], [true, "platform_not_supported"]);
  const thrown = await make({ open: () => Promise.reject(new Error("secret")) }).ask("open_tab", { platform: "claude" });
  assert.deepEqual([thrown.failed, thrown.reason], [true, "action_failed"]);
  const refused = make();
  const skipped = { ok: false, platform: "claude", skipped: "permission_missing", shell_runtime: runtime("claude", false) };
  const answer = await make({ open: async () => skipped }).ask("open_tab", { platform: "claude" });
  assert.deepEqual([answer.failed, answer.reason], [true, "permission_missing"]);
  assert.equal(refused.frames.length, 0);
});

test("frames reach their parts, and the request for logins after hello is not answered", async () => {
  const { router, ask, done, frames } = make();
  router.frame({ type: "api_request", id: "r" });
  router.frame({ type: "request_cancel", id: "r" });
  router.frame({ type: "state_snapshot", snapshot: {} });
  router.frame({ type: "state_snapshot", snapshot: { system: { mode: "paused" }, browser: { clients: [{ final_messages: [{}] }] } } });
  router.frame({ type: "action_result", request_id: "mode-1", action: "pause", ok: true });
  router.frame({ type: "error", code: "invalid_message" });
  await ask("request_credentials", { request_id: undefined, action: undefined });
  assert.deepEqual(done, ["request r", "cancel r", "confirmed undefined", "system paused", "confirmed 1", "answered mode-1 true", "report chatgpt,claude"]);
  assert.deepEqual(frames, []);
});

test("many changes are reported once", async () => {
  const clock = new Clock();
  const frames = [];
  let login = null;
  const usable = new Set();
  const accepted = new Set();
  const report = new Reporter({
    ...clock,
    link: { send: (text) => frames.push(JSON.parse(text)) },
    shells: { runtime: (name) => (name === "gone" ? undefined : runtime(name)) },
    credentials: { login: () => login, endpoints: (name) => ({ platform: name, endpoints: [], endpoint_metadata: [] }) },
    templates: { usable: (name) => usable.has(name), isAccepted: (name) => accepted.has(name) },
    observer: { drift: [{ platform: "claude", extractor_drift: 1 }] },
    changed: () => {},
  });
  for (let i = 0; i < 100; i += 1) report.changed("claude", "tab");
  report.changed("gone", "tab");
  await clock.pass(1_000);
  assert.deepEqual(frames.map(({ type }) => type), ["api_endpoints"]);
  login = { platform: "claude", credential_fingerprint: "f" };
  report.changed("claude", "credentials");
  report.changed("claude", "tab");
  await clock.pass(1_000);
  assert.deepEqual(frames.slice(1).map(({ type }) => type), ["credentials"]);
  assert.deepEqual(frames[1].shell_runtime.platform, "claude");
  report.reportAll(["claude"]);
  assert.deepEqual(frames.slice(2).map(({ type }) => type), ["credentials", "api_endpoints", "platform_status"]);
  usable.add("claude");
  report.reportAll(["claude"]);
  accepted.add("claude");
  report.reportAll(["claude"]);
  const prompts = frames.filter(({ type }) => type === "api_endpoints").map((told) => [told.prompt_template, told.prompt_accepted]);
  assert.deepEqual(prompts, [[false, false], [false, false], [true, false], [true, true]]);
});
