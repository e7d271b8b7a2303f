/** Creates and connects the parts. The only file that uses the browser's global objects. */
import { DAEMON_WS } from "../config.js";
import { endpoint, extractorFor } from "../platforms/index.js";
import * as wire from "../wire.js";
import { Credentials } from "./credentials.js";
import { isLoopbackSocket, isOnPlatform, patterns } from "./hosts.js";
import { Link } from "./link.js";
import { Log } from "./log.js";
import { FinalMessages } from "./final-messages.js";
import { TrafficObserver } from "./traffic-observer.js";
import { PagePorts } from "./page-ports.js";
import { Pairing } from "./pairing.js";
import { Panel } from "./panel.js";
import { permitted, registerScripts } from "./permissions.js";
import { probe } from "./probe.js";
import { RequestProxy } from "./proxy.js";
import { Reporter } from "./reporter.js";
import { Router } from "./router.js";
import { isShellSender } from "./shell.js";
import { ShellTabs } from "./shell-tabs.js";
import { DaemonMode } from "./daemon-mode.js";
import { TabActions } from "./tabs.js";
import { TemplateLearner } from "./template-learner.js";
import { Templates } from "./templates.js";

const now = () => Date.now();
const timers = {
  setTimeout: (work, ms) => setTimeout(work, ms),
  clearTimeout: (id) => clearTimeout(id),
  setInterval: (work, ms) => setInterval(work, ms),
  clearInterval: (id) => clearInterval(id),
};
const hex = (bytes) => [...crypto.getRandomValues(new Uint8Array(bytes))].map((b) => b.toString(16).padStart(2, "0")).join("");
const { local } = browser.storage;
const version = browser.runtime.getManifest().version;

let clientId = "";
let platforms = [];
/** Settled once the registry's platforms are applied. */
let applied = Promise.resolve();

const logbook = new Log({ now, changed: () => panel.changed() });
const log = (level, message) => logbook.add(level, message);

const pairing = new Pairing({
  storage: local,
  subtle: crypto.subtle,
  nonce: () => hex(32),
  now,
  clientId: () => clientId,
  log,
  changed: () => panel.changed(),
});
const link = new Link(
  {
    ...timers,
    WebSocket,
    now,
    random: Math.random,
    pairing,
    probe: (address) => probe(address, { fetch, ...timers }),
    hello: (nonce) => wire.hello({ client_id: clientId, extension_version: version, nonce }),
  },
  {
    state: () => {
      log("info", `Link: ${link.state}. ${link.note}`.trim());
      panel.changed();
    },
    connected,
    // Frames of a connection that has ended by then are dropped.
    frame: (frame) => void link.ifStillConnected(applied, () => router.frame(frame)),
    lost: () => {
      proxy.abortAll();
      system.lost();
    },
    log,
  },
);

const pages = new PagePorts({
  ready: (tabId) => shells.pageChanged(tabId),
  gone: (tabId, port) => {
    proxy.portGone(port);
    observer.gone(port);
    shells.pageChanged(tabId);
  },
  message: (tabId, port, text) => {
    const message = JSON.parse(text);
    if (message.id === undefined) observer.message(tabId, port, message);
    else proxy.message(port, message);
  },
  typed: (tabId, answer) => learner.typed(tabId, answer),
});

const shells = new ShellTabs({ browser, pages, now, changed: (name) => report.changed(name, "tab") });
const tabs = new TabActions({ browser, pages, shells, now, log });
const credentials = new Credentials({
  ...timers,
  browser,
  now,
  endpoint,
  random: () => hex(32),
  platformOf: (url) => platforms.find((platform) => isOnPlatform(platform, url)),
  cookieStore: (name) => shells.cookieStore(name),
  changed: (name, what) => report.changed(name, what),
  sent: (platform, details) => learner.sent(platform, details),
});
const templates = new Templates({
  storage: local,
  now,
  uuid: () => crypto.randomUUID(),
  platform: (name) => platforms.find((platform) => platform.platform === name),
  account: (name) => credentials.account(name),
  changed: (name) => report.changed(name, "endpoints"),
  log,
});
const learner = new TemplateLearner({
  webRequest: browser.webRequest,
  extractorFor,
  port: (tabId) => pages.port(tabId),
  learned: (name, template) => templates.learned(name, template),
  now,
  log,
});
const messages = new FinalMessages({ storage: local, now, send: (frame) => link.send(frame), connection: () => link.connection });
const observer = new TrafficObserver({
  extractorFor,
  now,
  log,
  // The port's sender is the page that opened it; the known state of the tab may be older.
  platformOf: (tabId, port) => platforms.find((platform) => isShellSender(platform, port.sender)),
  message: (found) => messages.observed(found),
  account: (name, account) => credentials.setAccount(name, account),
  status: (fields) => link.send(wire.platformStatus(fields)),
});
const report = new Reporter({ ...timers, link, shells, credentials, templates, observer, changed: () => panel.changed() });
/** The last failed request of each platform. */
const failures = new Map();
const proxy = new RequestProxy({
  ...timers,
  link,
  shells,
  tabs,
  log,
  failed: (name, code) => {
    failures.set(name, { code, at: now() });
    panel.changed();
  },
  replayedHeaders: (name, origin) => credentials.replayedHeaders(name, origin),
  templates,
  extractorFor,
  expectProxied: (tabId, method, url) => credentials.expectProxied(tabId, method, url),
  // A caller's request may need another login than the page's, so only the page's own traffic shows a lost login.
  refused: () => {},
});
const system = new DaemonMode({ ...timers, send: (frame) => link.send(frame), isConnected: () => link.connected, changed: () => panel.changed() });
const router = new Router({
  link,
  messages,
  system,
  shells,
  tabs,
  proxy,
  report,
  log,
  clientId: () => clientId,
  reloadExtension: () => browser.runtime.reload(),
});
const panel = new Panel({
  browser,
  link,
  pairing,
  shells,
  tabs,
  credentials,
  templates,
  report,
  observer,
  failures,
  logbook,
  messages,
  proxy,
  system,
  clientId: () => clientId,
  setAddress,
  defaultAddress: DAEMON_WS,
});

/** Applies the registry of a daemon that acknowledged the connection. */
function connected(ack) {
  log("info", `Connected to baa-conductor ${ack.version ?? ""}.`);
  platforms = ack.platforms;
  void local.set({ platforms });
  void applyPlatforms();
  // The daemon requests logins and tabs next.
  void applied.then(() => messages.flush());
}

/** Applies the permitted platforms; runs one after the other. */
function applyPlatforms() {
  applied = applied.then(applyOnce).catch(() => log("error", "The platforms could not be applied."));
  return applied;
}

async function applyOnce() {
  const registry = platforms;
  const open = await permitted(browser, registry);
  await registerScripts(browser, open);
  shells.setPlatforms(registry, open.map((platform) => platform.platform));
  learner.listen([...new Set(open.filter(({ prompt }) => prompt === "template").flatMap(patterns))]);
  credentials.listen([...new Set(open.flatMap(patterns))], open.map((platform) => platform.platform));
}

/** Returns the address that was set, if it is of this machine, else the default. */
const usable = (address) => (isLoopbackSocket(address) ? address : DAEMON_WS);

async function setAddress(address) {
  if (!isLoopbackSocket(address)) return false;
  await local.set({ address });
  return true;
}

/** Whether a port's sender is the options page; a content script in a web page could give its port any name. */
const isOwnPage = ({ tab, url }) => url?.split(/[?#]/)[0] === browser.runtime.getURL("options/index.html") && tab !== undefined;

browser.runtime.onConnect.addListener((port) => {
  if (port.name === "page") pages.connected(port);
  else if (port.name === "options" && isOwnPage(port.sender)) panel.connected(port);
});
browser.browserAction.onClicked.addListener(() => void browser.runtime.openOptionsPage());
browser.permissions.onAdded.addListener(() => void applyPlatforms());
browser.permissions.onRemoved.addListener(() => void applyPlatforms());
browser.storage.onChanged.addListener((changes, area) => {
  if (area === "local" && changes.address) link.start(usable(changes.address.newValue));
});
addEventListener("online", () => link.wake("the network is back"));

async function start() {
  const stored = await local.get(["client_id", "address", "platforms"]);
  clientId = stored.client_id ?? `firefox-${hex(4)}`;
  if (stored.client_id === undefined) await local.set({ client_id: clientId });
  platforms = stored.platforms ?? [];
  // Frames of the daemon wait until the rest is ready.
  applied = Promise.all([shells.start(), credentials.start(), templates.start()]);
  // The pairings must be known before the first connection.
  await pairing.start();
  link.start(usable(stored.address));
  await applyPlatforms();
  await tabs.restoreAtStart();
}

start().catch((error) => log("error", `Could not start: ${error?.name ?? "Error"}.`));
