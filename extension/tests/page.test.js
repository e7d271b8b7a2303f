import assert from "node:assert/strict";
import test from "node:test";
import { Log, LINES_MAX } from "../background/log.js";
import { Panel } from "../background/panel.js";
import { permitted, registerScripts } from "../background/permissions.js";
import { addressFault, isMode, loginText, modeText, pairCommand, pairingText, problemText, stateText, tabText, templateText, permissionRequest } from "../options/view.js";
import { CLAUDE, FakePort, LOCAL, settled } from "./support/fakes.js";

test("the log keeps the last 200 lines, truncated", () => {
  const log = new Log({ now: () => 1 });
  for (let i = 0; i < 500; i += 1) log.add("info", `${i} ${"x".repeat(1_000)}`);
  assert.equal(log.lines.length, LINES_MAX);
  assert.ok(log.lines[0].message.startsWith("300 ") && log.lines[0].message.length === 500);
});

test("the texts describe the state", () => {
  assert.equal(stateText({ state: "pairing" }), "Waiting for pairing");
  assert.equal(stateText({ state: "waiting" }), "Disconnected");
  assert.equal(pairCommand("012345"), "baa-conductor pair 012345");
  assert.match(pairingText({ paired_at: null }), /^Not paired/);
  assert.match(pairingText({ paired_at: 1 }), /^Paired since .*19(69|70)/);
  assert.match(tabText({ desired: { exists: true }, actual: { exists: false } }), /Missing/);
  assert.match(tabText({ desired: {}, actual: { exists: false, issue: "permission_missing" } }), /not allowed/);
  assert.match(tabText({ desired: {}, actual: { exists: true, healthy: true, url: "https://claude.ai/" } }), /^Ready: https/);
  assert.equal(loginText(null), "Not seen yet.");
  const login = { freshness: "lost", account: "me", header_names: ["cookie"], credential_fingerprint: "0123456789abcdef" };
  assert.match(loginText(login), /log in again as me, 1 headers, fingerprint 0123456789ab\./);
  const runtime = { drift: { needs_restore: true, reason: "tab_closed" } };
  assert.match(problemText({ runtime, login, drift: 2 }), /tab closed\. The login is lost\. .*unknown format: 2\./);
  assert.equal(problemText({ runtime: { drift: {} }, login: null, drift: 0 }), "None.");
  assert.equal(addressFault("ws://127.0.0.1:1/x"), "");
  assert.match(addressFault("ws://evil.example/"), /this machine/);
  assert.deepEqual(permissionRequest(LOCAL), { origins: ["http://127.0.0.1/*"] });
});

test("the texts describe a prompt template", () => {
  const known = { learned_at: 0, accepted_at: undefined, stale: undefined, in_memory: false, usable: true };
  assert.equal(templateText(null), "Not used with this platform.");
  assert.match(templateText({ known: null }), /^None yet/);
  assert.match(templateText({ known }), /^Learned at .*19(69|70).*, not tried yet\.$/);
  assert.match(templateText({ known: { ...known, accepted_at: 1, in_memory: true } }), /accepted by the app at .*forgotten when Firefox ends\.$/);
  assert.match(templateText({ known: { ...known, usable: false } }), /Not used: it was learned for another account/);
  assert.match(templateText({ known: { ...known, stale: { status: 403, at: 1 }, usable: false } }), /^Stale: .* with 403\./);
});

function firefox(granted, manifest = ["https://claude.ai/*", "https://*.claude.ai/*"]) {
  let registered = [];
  return {
    permissions: { contains: async ({ origins }) => origins.every((origin) => granted.includes(origin)) },
    runtime: { getManifest: () => ({ content_scripts: [{ matches: manifest }] }) },
    scripting: {
      getRegisteredContentScripts: async () => registered,
      unregisterContentScripts: async ({ ids }) => (registered = registered.filter(({ id }) => !ids.includes(id))),
      registerContentScripts: async (scripts) => (registered = [...registered, ...scripts]),
    },
  };
}

test("the scripts of a user-defined platform are registered with the permission, in their order", async () => {
  const granted = ["https://claude.ai/*", "https://*.claude.ai/*"];
  const browser = firefox(granted);
  assert.deepEqual(await permitted(browser, [CLAUDE, LOCAL]), [CLAUDE]);
  assert.deepEqual(await registerScripts(browser, [CLAUDE]), []);
  granted.push("http://127.0.0.1/*");
  const open = await permitted(browser, [CLAUDE, LOCAL]);
  assert.deepEqual(open, [CLAUDE, LOCAL]);
  assert.deepEqual(await registerScripts(browser, open), ["http://127.0.0.1/*"]);
  assert.deepEqual(await registerScripts(browser, open), []);
  const scripts = await browser.scripting.getRegisteredContentScripts();
  assert.deepEqual(scripts.map(({ js, matches, world }) => [js, matches[0], world]), [
    [["content/page.js"], "http://127.0.0.1/*", "MAIN"],
    [["content/typed.js", "content/bridge.js"], "http://127.0.0.1/*", undefined],
  ]);
  await registerScripts(browser, [CLAUDE]);
  assert.deepEqual(await browser.scripting.getRegisteredContentScripts(), []);
});

test("the panel shows the state, performs actions, and reports failures", async () => {
  const calls = [];
  const runtime = { drift: {}, actual: {}, desired: {} };
  const panel = new Panel({
    browser: {},
    link: { state: "connected", note: "", code: null, address: "ws://127.0.0.1:1/", reconnect: () => calls.push("reconnect") },
    messages: { waiting: 2 },
    pairing: { since: () => 7, confirmedSince: () => null, forget: async (address) => calls.push(`unpair ${address}`) },
    shells: { names: ["claude"], platform: () => CLAUDE, runtime: () => runtime },
    tabs: {
      open: async (name, { focus, source }) => (calls.push(`open ${name} ${focus} ${source}`), { ok: true, platform: name }),
      reload: () => Promise.reject(new Error("x")),
      restore: async () => (calls.push("restore"), [{ ok: true, platform: "claude" }]),
    },
    credentials: { login: () => null, endpoints: () => ({ endpoints: ["GET /"] }) },
    templates: { summary: () => null, forget: async (name) => calls.push(`forget ${name}`) },
    report: { reportAll: (names) => calls.push(`report ${names}`) },
    observer: { drift: [{ platform: "claude", extractor_drift: 3 }] },
    failures: new Map([["claude", { code: "fetch_failed", at: 1 }]]),
    logbook: new Log({ now: () => 1 }),
    proxy: { running: 2 },
    system: { state: { mode: "paused", changed_at: 1, reason: "lunch" }, request: async (action) => (calls.push(action), action !== "drain") },
    clientId: () => "firefox-1",
    setAddress: async (address) => address === "good",
    defaultAddress: "d",
  });
  const port = new FakePort(1);
  panel.connected(port);
  const { state } = port.sent[0];
  assert.equal(state.platforms[0].failure.code, "fetch_failed");
  assert.equal(state.link.paired_at, 7);
  assert.match(modeText(state.system), /^Paused: instructions wait, since .*: lunch\.$/);
  assert.deepEqual([isMode(state.system, "pause"), isMode(state.system, "resume")], [true, false]);
  assert.equal(modeText(null), "Unknown while disconnected.");
  assert.match(problemText({ ...state.platforms[0], drift: 0 }), /fetch failed/);
  assert.deepEqual([state.client_id, state.running, state.platforms[0].drift, state.platforms[0].endpoints], ["firefox-1", 2, 3, 1]);
  const ask = async (message) => {
    port.onMessage.fire(message);
    await settled();
    return port.sent.at(-1).ok;
  };
  for (const what of ["tab_open", "tab_focus", "tab_restore", "request_credentials", "ws_reconnect", "forget_template", "forget_pairing"]) assert.equal(await ask({ ask: what, platform: "claude" }), true);
  assert.deepEqual(calls, ["open claude false options", "open claude true options", "restore", "report claude", "reconnect", "forget claude", "unpair ws://127.0.0.1:1/", "reconnect"]);
  assert.deepEqual([await ask({ ask: "pause" }), await ask({ ask: "resume" }), await ask({ ask: "drain" })], [true, true, false]);
  assert.deepEqual(calls.splice(-3), ["pause", "resume", "drain"]);
  assert.equal(await ask({ ask: "tab_reload", platform: "claude" }), false);
  assert.deepEqual([await ask({ ask: "set_address", address: "good" }), await ask({ ask: "set_address", address: "bad" })], [true, false]);
});
