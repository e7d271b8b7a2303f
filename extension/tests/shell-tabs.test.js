import assert from "node:assert/strict";
import test from "node:test";
import { PagePorts } from "../background/page-ports.js";
import { ShellTabs } from "../background/shell-tabs.js";
import { TabActions } from "../background/tabs.js";
import { CLAUDE, FakePort, LOCAL, fakeBrowser, settled } from "./support/fakes.js";

const open = (id, url, more = {}) => ({ id, url, status: "complete", active: false, windowId: 1, discarded: false, hidden: false, ...more });

async function make({ stored, session, existing = [], permitted = ["claude", "app"] } = {}) {
  const browser = fakeBrowser({ stored, session, tabs: existing });
  const changes = [];
  const gone = [];
  let shells = null;
  const pages = new PagePorts({ ready: (id) => shells.pageChanged(id), gone: (id, port) => (gone.push(port), shells.pageChanged(id)), message: () => {} });
  shells = new ShellTabs({ browser, pages, now: () => 1_000, changed: (name) => changes.push(name), later: (work, ms) => setTimeout(work, ms)?.unref?.() });
  const tabs = new TabActions({ browser, pages, shells, now: () => 1_000, log: () => {} });
  await shells.start();
  shells.setPlatforms([CLAUDE, LOCAL], permitted);
  /** Loads a tab's page, with the events of Firefox and the content scripts. */
  const load = (id, url = "https://claude.ai/") => {
    const port = new FakePort(id, 0, url);
    browser.tabs.change(id, { url, status: "loading" });
    pages.connected(port);
    browser.tabs.change(id, { status: "complete" });
    return port;
  };
  const created = () => browser.calls.filter(([what]) => what === "create");
  /** Runs an action that opens a tab, and loads the tab. */
  const opening = async (work, url) => {
    const before = created().length;
    const done = work();
    for (let i = 0; i < 20 && created().length === before; i += 1) await settled();
    load((await browser.tabs.query()).at(-1).id, url);
    return done;
  };
  return { browser, pages, shells, tabs, changes, gone, load, created, opening };
}

const as = { action: "tab_open", reason: "test" };

test("at first no tab is desired and none exists, which is aligned", async () => {
  const { shells, tabs, created } = await make();
  const { desired, actual, drift } = shells.runtime("claude");
  assert.deepEqual([desired.exists, actual.exists, actual.healthy, drift.aligned], [false, false, false, true]);
  assert.equal(shells.runtime("unknown"), undefined);
  await tabs.restoreAtStart();
  assert.equal(created().length, 0);
});

test("a tab is opened in the background and is ready once its page is", async () => {
  const { browser, tabs, created, opening } = await make();
  const result = await opening(() => tabs.open("claude", as));
  assert.deepEqual(created(), [["create", "https://claude.ai/", false]]);
  assert.deepEqual([result.ok, result.restored, result.shell_runtime.actual.healthy], [true, true, true]);
  assert.equal(browser.storage.local.data.desired.claude.exists, true);
  assert.ok(!browser.calls.some(([what]) => what === "update" || what === "window"), "no tab took the focus");
});

test("only tab_focus brings a tab to the front", async () => {
  const { browser, tabs, opening } = await make();
  await opening(() => tabs.open("claude", { ...as, action: "tab_focus", focus: true }));
  assert.deepEqual(browser.calls.filter(([what]) => what !== "create").map(([what, , change]) => [what, change]), [
    ["update", { active: true }],
    ["window", { focused: true }],
  ]);
});

test("an open tab of the platform is adopted instead of opening another", async () => {
  const { shells, tabs, pages, created } = await make({ existing: [open(7, "https://claude.ai/chat/1"), open(8, "https://claude.ai.evil.example/")] });
  const { actual } = shells.runtime("claude");
  assert.deepEqual([actual.exists, actual.candidate_tab_id, actual.candidate_url], [false, 7, "https://claude.ai/chat/1"]);
  pages.connected(new FakePort(7));
  const result = await tabs.open("claude", as);
  assert.deepEqual([result.tab_id, result.restored, created().length], [7, false, 0]);
});

test("a tab of a subdomain is not adopted, not healthy, and gets no request", async () => {
  const { browser, pages, shells, tabs, opening, created } = await make({ existing: [open(7, "https://docs.claude.ai/")] });
  pages.connected(new FakePort(7, 0, "https://docs.claude.ai/"));
  assert.equal(shells.runtime("claude").actual.candidate_tab_id, undefined);
  const { tabId, port } = await opening(() => tabs.page("claude"));
  assert.deepEqual([created().length, port.sender.url], [1, "https://claude.ai/"]);
  pages.connected(new FakePort(tabId, 0, "https://docs.claude.ai/"));
  browser.tabs.change(tabId, { url: "https://docs.claude.ai/x", status: "complete" });
  const { actual, drift } = shells.runtime("claude");
  assert.deepEqual([actual.healthy, actual.issue, actual.url, drift.aligned], [false, "navigated_away", "https://docs.claude.ai/x", false]);
  const again = await opening(() => tabs.page("claude"));
  assert.notEqual(again.tabId, tabId);
});

test("ten requests at once open one tab", async () => {
  const { shells, tabs, created, opening } = await make();
  const found = await opening(() => Promise.all(Array.from({ length: 10 }, () => tabs.page("claude"))));
  assert.equal(created().length, 1);
  assert.equal(new Set(found.map(({ port }) => port)).size, 1);
  assert.equal(shells.runtime("claude").desired.source, "request");
});

test("a request waits for its platform's page and gets no other", async () => {
  const { browser, pages, shells, tabs } = await make({ existing: [open(7, "https://claude.ai/", { status: "loading" })] });
  let found = "waiting";
  const asking = tabs.page("claude").then((page) => (found = page));
  for (let i = 0; i < 5; i += 1) await settled();
  // Meanwhile the user navigates the tab to another platform.
  pages.connected(new FakePort(7, 0, LOCAL.shell_url));
  browser.tabs.change(7, { url: LOCAL.shell_url, status: "complete" });
  for (let i = 0; i < 5; i += 1) await settled();
  assert.equal(found, "waiting");
  assert.equal(shells.runtime("claude").actual.healthy, false);
  const right = new FakePort(7);
  pages.connected(right);
  assert.equal((await asking).port, right);
});

test("a tab that the user closed is drift, and is restored", async () => {
  const { browser, shells, tabs, changes, created, opening } = await make();
  const { tab_id } = await opening(() => tabs.open("claude", as));
  changes.length = 0;
  browser.tabs.close(tab_id);
  assert.deepEqual(changes, ["claude"]);
  assert.deepEqual(shells.runtime("claude").drift, { aligned: false, needs_restore: true, unexpected_actual: false, reason: "tab_closed" });
  const [result] = await opening(() => tabs.restore(undefined, { action: "tab_restore" }));
  assert.deepEqual([result.ok, result.restored, result.shell_runtime.drift.aligned, created().length], [true, true, true, 2]);
  assert.deepEqual((await tabs.restore(undefined, { action: "tab_restore" })).map(({ skipped, restored }) => [skipped, restored]), [["already_there", false]]);
});

test("a tab that the user navigated away is drift and is left alone", async () => {
  const { browser, shells, tabs, opening, created } = await make();
  const { tab_id } = await opening(() => tabs.open("claude", as));
  browser.tabs.change(tab_id, { url: "about:blank", status: "complete" });
  assert.equal(shells.runtime("claude").actual.issue, "navigated_away");
  browser.tabs.change(tab_id, { url: "https://example.org/", status: "complete" });
  const { actual, drift } = shells.runtime("claude");
  assert.deepEqual([actual.healthy, actual.issue, drift.reason, drift.needs_restore], [false, "navigated_away", "navigated_away", true]);
  const [result] = await opening(() => tabs.restore("claude", { action: "tab_restore" }));
  assert.notEqual(result.tab_id, tab_id);
  assert.equal(created().length, 2);
  assert.equal((await browser.tabs.get(tab_id)).url, "https://example.org/");
});

test("a discarded tab is drift and is reloaded", async () => {
  const { browser, shells, tabs, pages, load, opening, created } = await make();
  const { tab_id } = await opening(() => tabs.open("claude", as));
  pages.port(tab_id).onDisconnect.fire();
  browser.tabs.change(tab_id, { discarded: true });
  assert.deepEqual([shells.runtime("claude").actual.issue, shells.runtime("claude").drift.reason], ["discarded", "tab_discarded"]);
  const restoring = tabs.restore("claude", { action: "tab_restore" });
  for (let i = 0; i < 5; i += 1) await settled();
  browser.tabs.change(tab_id, { discarded: false });
  load(tab_id);
  const [result] = await restoring;
  assert.deepEqual([result.tab_id, result.restored, created().length], [tab_id, true, 1]);
  assert.ok(browser.calls.some(([what, id]) => what === "reload" && id === tab_id));
});

test("a tab without its page has crashed until it is reloaded", async () => {
  const { shells, tabs, pages, load, opening } = await make();
  const { tab_id } = await opening(() => tabs.open("claude", as));
  pages.port(tab_id).onDisconnect.fire();
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  await settled();
  assert.deepEqual([shells.runtime("claude").actual.issue, shells.runtime("claude").drift.reason], ["crashed", "tab_crashed"]);
  load(tab_id);
  assert.equal(shells.runtime("claude").actual.issue, "none");
});

test("desired tabs are opened or adopted at the browser's start", async () => {
  const stored = { desired: { claude: { exists: true, source: "daemon", reason: "x", updated_at: 1 } } };
  const fresh = await make({ stored });
  assert.equal(fresh.shells.runtime("claude").drift.needs_restore, true);
  await fresh.tabs.restoreAtStart();
  assert.equal(fresh.created().length, 1);
  const again = await make({ stored, existing: [open(7, "https://claude.ai/")] });
  await again.tabs.restoreAtStart();
  assert.deepEqual([again.shells.runtime("claude").actual.tab_id, again.created().length], [7, 0]);
});

test("at the browser's start a request and the restore open one tab", async () => {
  const stored = { desired: { claude: { exists: true } } };
  const { tabs, created, opening } = await make({ stored });
  const [page] = await opening(() => Promise.all([tabs.page("claude"), tabs.restoreAtStart()]));
  assert.deepEqual([created().length, page.port.sender.url], [1, "https://claude.ai/"]);
});

test("a tab that cannot be opened does not affect other platforms", async () => {
  const stored = { desired: { claude: { exists: true }, app: { exists: true } } };
  const { browser, tabs, created } = await make({ stored });
  const { create } = browser.tabs;
  browser.tabs.create = async (how) => (how.url === CLAUDE.shell_url ? Promise.reject(new Error("no window")) : create(how));
  await tabs.restoreAtStart();
  assert.deepEqual(created(), [["create", LOCAL.shell_url, false]]);
});

test("a tab that the user closed stays closed until it is needed, also across a start", async () => {
  const first = await make();
  const { tab_id } = await first.opening(() => first.tabs.open("claude", as));
  first.browser.tabs.close(tab_id);
  await settled();
  const stored = first.browser.storage.local.data;
  const next = await make({ stored });
  await next.tabs.restoreAtStart();
  const { desired, drift } = next.shells.runtime("claude");
  assert.deepEqual([desired.exists, drift.reason, next.created().length], [true, "tab_closed", 0]);
  await next.opening(() => next.tabs.restore(undefined, { action: "tab_restore" }));
  assert.equal(next.created().length, 1);
  next.browser.tabs.close((await next.browser.tabs.query()).at(-1).id, true);
  await settled();
  const last = await make({ stored: next.browser.storage.local.data });
  await last.tabs.restoreAtStart();
  assert.equal(last.created().length, 1, "gone with the browser's window is not closed on purpose");
});

test("a restart of the extension within a session opens nothing", async () => {
  const { shells, tabs, created } = await make({ stored: { desired: { claude: { exists: true } } }, session: { started: true } });
  await tabs.restoreAtStart();
  assert.deepEqual([created().length, shells.runtime("claude").drift.reason], [0, "tab_missing"]);
});

test("without the permission no tab is opened and the reason is reported", async () => {
  const { shells, tabs, created } = await make({ permitted: [] });
  const result = await tabs.open("claude", as);
  assert.deepEqual([result.ok, result.skipped, shells.runtime("claude").actual.issue], [false, "permission_missing", "permission_missing"]);
  assert.equal(await tabs.page("claude"), null);
  assert.equal(created().length, 0);
});

test("a revoked permission disconnects the open page and fails its requests", async () => {
  const { shells, tabs, pages, gone, opening } = await make();
  const early = new FakePort(50, 0, "https://not-told-yet.example/");
  pages.connected(early);
  const { port, tabId } = await opening(() => tabs.page("claude"));
  const local = new FakePort(51, 0, LOCAL.shell_url);
  pages.connected(local);
  shells.setPlatforms([CLAUDE, LOCAL], ["claude", "app"]);
  assert.deepEqual(gone, []);
  shells.setPlatforms([CLAUDE, LOCAL], ["app"]);
  assert.deepEqual([port.isDisconnected, gone, pages.port(tabId)], [true, [port], undefined]);
  assert.deepEqual([pages.port(51), pages.port(50)], [local, early]);
  assert.equal(await tabs.page("claude"), null);
});

test("a page that does not become ready is drift, and fails actions with that reason", async (t) => {
  const { browser, shells, tabs } = await make({ existing: [open(7, "https://claude.ai/")] });
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const opening = tabs.open("claude", as);
  for (let i = 0; i < 5; i += 1) await settled();
  assert.deepEqual([shells.runtime("claude").actual.issue, shells.runtime("claude").drift.aligned], ["not_ready", true]);
  t.mock.timers.tick(8_000);
  const { ok, skipped } = await opening;
  assert.deepEqual([ok, skipped], [false, "not_ready"]);
  assert.deepEqual(shells.runtime("claude").drift, { aligned: false, needs_restore: true, unexpected_actual: false, reason: "not_ready" });
  browser.tabs.change(7, { status: "loading" });
  browser.tabs.change(7, { status: "complete" });
  assert.equal(shells.runtime("claude").drift.aligned, true);
  t.mock.timers.tick(8_000);
  assert.equal(shells.runtime("claude").drift.reason, "not_ready", "also when no request waits for it");
});

test("a desired tab without the permission is drift", async () => {
  const { shells, tabs } = await make({ permitted: [], stored: { desired: { claude: { exists: true } } } });
  assert.deepEqual(shells.runtime("claude").drift, { aligned: false, needs_restore: false, unexpected_actual: false, reason: "permission_missing" });
  const [{ ok, skipped }] = await tabs.restore(undefined, { action: "tab_restore" });
  assert.deepEqual([ok, skipped], [false, "permission_missing"]);
});

test("a reload ends with the new page", async () => {
  const { browser, tabs, pages, load, opening } = await make();
  const { tab_id } = await opening(() => tabs.open("claude", as));
  let done = false;
  const reloading = tabs.reload("claude", { action: "tab_reload" }).then((result) => (done = result));
  for (let i = 0; i < 5; i += 1) await settled();
  assert.equal(done, false);
  pages.port(tab_id).onDisconnect.fire();
  load(tab_id);
  await reloading;
  assert.deepEqual([done.ok, done.shell_runtime.actual.healthy], [true, true]);
  assert.deepEqual(browser.calls.at(-1), ["reload", tab_id]);
});

test("ports of inner frames are ignored, and a newer page replaces the older", () => {
  const gone = [];
  const pages = new PagePorts({ ready: () => {}, gone: (id, port) => gone.push(port), message: () => {} });
  pages.connected(new FakePort(1, 3));
  assert.equal(pages.port(1), undefined);
  const [older, newer] = [new FakePort(1), new FakePort(1)];
  pages.connected(older);
  pages.connected(newer);
  older.onDisconnect.fire();
  assert.equal(pages.port(1), newer);
  assert.ok(gone.includes(older) && !gone.includes(newer));
});
