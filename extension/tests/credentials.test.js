import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";
import test from "node:test";
import { Credentials, ENDPOINTS_MAX } from "../background/credentials.js";
import { readLogin } from "../background/fingerprint.js";
import { isOnPlatform } from "../background/hosts.js";
import * as wire from "../wire.js";
import { CLAUDE, Clock, FakeEvent, fakeBrowser, settled } from "./support/fakes.js";

globalThis.crypto ??= webcrypto;

const SECRETS = ["COOKIE-VALUE", "BEARER-VALUE", "CSRF-VALUE", "OTHER-VALUE"];
const headers = (session = SECRETS[0]) => [
  { name: "Cookie", value: `_ga=1; sessionKey=${session}; theme=dark` },
  { name: "Authorization", value: `Bearer ${SECRETS[1]}` },
  { name: "X-CSRF", value: SECRETS[2] },
  { name: "Accept", value: "*/*" },
];

async function make(stored) {
  const clock = new Clock();
  const browser = fakeBrowser({ stored });
  const changes = [];
  const shell = {};
  const credentials = new Credentials({
    ...clock,
    browser,
    random: () => "salt-1",
    endpoint: (method, url) => `${method} ${new URL(url).pathname}`,
    platformOf: (url) => (isOnPlatform(CLAUDE, url) ? CLAUDE : undefined),
    cookieStore: () => shell.store,
    sent: () => {},
    changed: (name, what) => changes.push(`${name} ${what}`),
  });
  await credentials.start();
  let id = 0;
  const send = async (more = {}) => {
    id += 1;
    const details = { requestId: `${id}`, tabId: 1, method: "GET", url: "https://claude.ai/api/x", type: "xmlhttprequest", documentUrl: "https://claude.ai/", originUrl: "https://claude.ai/",
      cookieStoreId: "firefox-default", requestHeaders: headers(), ...more };
    await credentials.requestStarted(details);
    await settled();
    return details;
  };
  return { clock, browser, changes, credentials, send, shell };
}

test("a login is header names and a fingerprint; no value is reported, stored or thrown", async () => {
  const { browser, changes, credentials, send } = await make();
  await send();
  const login = credentials.login("claude");
  assert.deepEqual(login.header_names, ["authorization", "cookie", "x-csrf"]);
  assert.match(login.credential_fingerprint, /^[0-9a-f]{64}$/);
  assert.equal(login.freshness, "fresh");
  const told = [JSON.stringify(login), wire.credentials(login), wire.apiEndpoints(credentials.endpoints("claude")), JSON.stringify(browser.storage.local.data), JSON.stringify(changes),
    JSON.stringify(credentials), JSON.stringify(await readLogin(headers(), "s"))].join("\n");
  for (const secret of SECRETS) assert.ok(!told.includes(secret), secret);
});

test("the fingerprint changes with the value and with the installation, and with nothing else", async () => {
  const { credentials, send } = await make();
  const print = () => credentials.login("claude").credential_fingerprint;
  await send();
  const first = print();
  await send({ requestHeaders: [{ name: "cookie", value: `theme=light; sessionKey=${SECRETS[0]}; _ga=2; __cf_bm=3` }] });
  assert.equal(print(), first);
  await send({ requestHeaders: [{ name: "authorization", value: "Bearer another" }] });
  assert.equal(print(), first);
  await send({ requestHeaders: headers(SECRETS[3]) });
  assert.notEqual(print(), first);
  const other = await make({ salt: "salt-2" });
  await other.send();
  assert.notEqual(other.credentials.login("claude").credential_fingerprint, first);
});

test("the salt is made once and kept", async () => {
  const { browser } = await make();
  assert.equal(browser.storage.local.data.salt, "salt-1");
  const again = await make({ salt: "kept" });
  assert.equal(again.browser.storage.local.data.salt, "kept");
});

test("without a login cookie the authorization counts, and visitors have no login", async () => {
  const { credentials, send } = await make();
  await send({ requestHeaders: [{ name: "cookie", value: "_ga=1; __cf_bm=2; theme=dark" }] });
  assert.equal(credentials.login("claude"), null);
  await send({ requestHeaders: [{ name: "authorization", value: "Bearer x" }] });
  assert.deepEqual(credentials.login("claude").header_names, ["authorization"]);
});

test("a login is lost with a 401, and restored by a success of the same endpoint or a new login", async () => {
  const { credentials, send } = await make();
  const details = await send();
  const freshness = () => credentials.login("claude").freshness;
  for (const statusCode of [500, 403, 404]) credentials.completed({ ...details, statusCode });
  credentials.completed({ ...details, url: "https://s.claude.ai/api/x", statusCode: 401 });
  assert.equal(freshness(), "fresh");
  credentials.completed({ ...details, statusCode: 401 });
  assert.equal(freshness(), "lost");
  credentials.completed({ ...details, url: "https://claude.ai/api/public", statusCode: 200 });
  assert.equal(freshness(), "lost", "a public answer says nothing about the login");
  credentials.completed({ ...details, statusCode: 200 });
  assert.equal(freshness(), "fresh");
  credentials.completed({ ...details, statusCode: 401 });
  await send({ requestHeaders: headers(SECRETS[3]) });
  assert.equal(freshness(), "fresh", "a new login is not lost");
});

test("the fingerprint is of the shell's origin, whatever other hosts of the platform set", async () => {
  const { credentials, changes, send } = await make();
  await send({ url: "https://s.claude.ai/a", requestHeaders: headers("of s") });
  assert.equal(credentials.login("claude"), null);
  await send();
  const { credential_fingerprint } = credentials.login("claude");
  changes.length = 0;
  await send({ url: "https://s.claude.ai/a", requestHeaders: headers("of s") });
  assert.deepEqual([credentials.login("claude").credential_fingerprint, changes], [credential_fingerprint, []]);
});

test("preflight requests are ignored", async () => {
  const { credentials, changes, send } = await make();
  const details = await send({ method: "OPTIONS" });
  assert.deepEqual([credentials.login("claude"), credentials.endpoints("claude").endpoints, changes], [null, [], []]);
  await send();
  credentials.completed({ ...details, statusCode: 401 });
  assert.equal(credentials.login("claude").freshness, "fresh");
});

test("proxied requests are ignored, also when the browser reports them late", async () => {
  const { clock, credentials, changes, send } = await make();
  for (let i = 0; i < 3; i += 1) {
    const release = credentials.expectProxied(1, "GET", "https://claude.ai/api/x#part");
    release();
    const details = await send();
    credentials.completed({ ...details, statusCode: 401 });
    await clock.pass(10_000);
  }
  assert.equal(credentials.login("claude"), null);
  assert.deepEqual(changes, []);
  credentials.expectProxied(1, "GET", "https://claude.ai/api/x")();
  await clock.pass(10_000);
  await send();
  assert.notEqual(credentials.login("claude"), null);
});

test("requests without a tab, of other hosts and of similar names are ignored", async () => {
  const { credentials, send } = await make();
  await send({ tabId: -1 });
  await send({ url: "https://claude.ai.evil.example/" });
  assert.equal(credentials.login("claude"), null);
});

test("only requests of shell pages with the shell tab's cookies count", async () => {
  const { credentials, changes, send, shell } = await make();
  const evil = "https://evil.example/";
  await send({ documentUrl: evil, originUrl: evil });
  await send({ documentUrl: undefined, originUrl: evil });
  await send({ documentUrl: undefined, originUrl: undefined });
  await send({ originUrl: evil });
  const subdomain = "https://evil.claude.ai/";
  await send({ documentUrl: subdomain, originUrl: subdomain });
  await send({ documentUrl: subdomain });
  await send({ originUrl: subdomain });
  await send({ documentUrl: undefined });
  await send({ originUrl: undefined });
  await send({ originUrl: "moz-nullprincipal:{0}" });
  await send({ frameAncestors: [{ url: "https://claude.ai/" }, { url: evil }] });
  await send({ frameAncestors: [{ url: subdomain }] });
  await send({ cookieStoreId: "firefox-container-1" });
  await send({ type: "main_frame", cookieStoreId: "firefox-container-1" });
  assert.deepEqual([credentials.login("claude"), changes, credentials.replayedHeaders("claude", "https://claude.ai")], [null, [], {}]);
  const details = await send();
  credentials.completed({ ...details, documentUrl: evil, originUrl: evil, statusCode: 401 });
  assert.equal(credentials.login("claude").freshness, "fresh");
  shell.store = "firefox-container-1";
  const { credential_fingerprint } = credentials.login("claude");
  await send({ requestHeaders: headers(SECRETS[3]) });
  assert.equal(credentials.login("claude").credential_fingerprint, credential_fingerprint);
  await send({ requestHeaders: headers(SECRETS[3]), cookieStoreId: "firefox-container-1" });
  assert.notEqual(credentials.login("claude").credential_fingerprint, credential_fingerprint);
  const other = await make();
  await other.send({ type: "main_frame", documentUrl: undefined, originUrl: evil });
  assert.notEqual(other.credentials.login("claude"), null, "a link from elsewhere leads to a page of the platform");
});

test("replayed headers are the latest of the origin by the page's own scripts", async () => {
  const { credentials, send } = await make();
  await send({ type: "main_frame" });
  assert.deepEqual(credentials.replayedHeaders("claude", "https://claude.ai"), {});
  await send();
  await send({ requestHeaders: [{ name: "X-Csrf", value: "newer" }] });
  assert.deepEqual(credentials.replayedHeaders("claude", "https://claude.ai"), { authorization: "Bearer BEARER-VALUE", "x-csrf": "newer" });
  assert.deepEqual(credentials.replayedHeaders("claude", "https://api.claude.ai"), {});
  assert.deepEqual(credentials.replayedHeaders("gemini", "https://claude.ai"), {});
});

test("replayed headers end with the login, its account, and the permission", async () => {
  const { browser, credentials, send } = await make();
  for (const name of ["onBeforeSendHeaders", "onCompleted", "onErrorOccurred"]) browser.webRequest = { ...browser.webRequest, [name]: new FakeEvent() };
  const captured = () => Object.values(credentials.replayedHeaders("claude", "https://claude.ai"));
  const bearer = (value, session = SECRETS[0]) => [{ name: "cookie", value: `sessionKey=${session}` }, { name: "authorization", value }];
  const old = await send({ requestHeaders: [...bearer("one"), { name: "x-old", value: "old" }] });
  assert.deepEqual(captured(), ["one", "old"]);
  await send({ requestHeaders: bearer("two", "another") });
  assert.deepEqual(captured(), ["two"], "those of the request that brought the new login");
  credentials.setAccount("claude", "organization-1");
  credentials.setAccount("claude", "me@example.org");
  assert.deepEqual(captured(), ["two"], "whose it is was learned, not changed");
  credentials.setAccount("claude", "you@example.org");
  assert.deepEqual(captured(), []);
  await send({ requestHeaders: bearer("three", "another") });
  credentials.completed({ ...old, statusCode: 401 });
  assert.deepEqual(captured(), []);
  await send({ requestHeaders: bearer("three", "another") });
  assert.deepEqual(captured(), [], "a login that is lost is not kept again");
  await send({ requestHeaders: bearer("four", "renewed") });
  assert.deepEqual(captured(), ["four"]);
  credentials.listen(["https://claude.ai/*"], ["claude"]);
  assert.deepEqual(captured(), ["four"]);
  credentials.listen([], []);
  assert.deepEqual(captured(), []);
});

test("endpoints are kept once, with their times, up to the limit", async () => {
  const { clock, credentials, send } = await make();
  await send();
  await clock.pass(1_000);
  await send();
  const [{ first_seen_at, last_seen_at }] = credentials.endpoints("claude").endpoint_metadata;
  assert.equal(last_seen_at - first_seen_at, 1_000);
  for (let i = 0; i < ENDPOINTS_MAX + 50; i += 1) {
    await clock.pass(1);
    await send({ url: `https://claude.ai/e/${i}` });
  }
  const { endpoints } = credentials.endpoints("claude");
  assert.equal(endpoints.length, ENDPOINTS_MAX);
  assert.ok(!endpoints.includes("GET /e/0") && endpoints.includes(`GET /e/${ENDPOINTS_MAX + 49}`));
});

test("the account is reported once, kept when the login is renewed, and forgotten when it was lost", async () => {
  const { credentials, changes, send } = await make();
  await send();
  changes.length = 0;
  credentials.setAccount("claude", "me@example.org");
  credentials.setAccount("claude", "me@example.org");
  assert.deepEqual(changes, ["claude credentials"]);
  assert.equal(credentials.login("claude").account, "me@example.org");
  const details = await send({ requestHeaders: headers("renewed") });
  assert.equal(credentials.login("claude").account, "me@example.org");
  credentials.completed({ ...details, statusCode: 401 });
  await send({ requestHeaders: headers(SECRETS[3]) });
  assert.equal(credentials.login("claude").account, undefined);
});
