import assert from "node:assert/strict";
import { test } from "node:test";

import { extractorFor } from "../platforms/index.js";

const read = (platform, url, body, more = {}) =>
  extractorFor(platform).account({ method: "GET", status: 200, url, body, ...more });

const CLAUDE = "https://claude.ai/api";
const CHATGPT = "https://chatgpt.com";

const TABLE = [
  ["claude", `${CLAUDE}/account`, { uuid: "u-1", email_address: "jane@example.com" }, "jane@example.com"],
  ["claude", `${CLAUDE}/account?x=1`, { account: { email_address: "jane@example.com" } }, "jane@example.com"],
  ["claude", `${CLAUDE}/account`, { uuid: "u-1" }, "u-1"],
  ["claude", `${CLAUDE}/bootstrap/org-1/app_start`, { account: { email_address: "j@e.org" } }, "j@e.org"],
  ["claude", `${CLAUDE}/organizations`, [{ uuid: "o-1", name: "jane@example.com's Organization" }], "jane@example.com"],
  ["claude", `${CLAUDE}/organizations`, [{ uuid: "o-1" }, { uuid: "o-2", is_default: true }], "o-2"],
  ["claude", `${CLAUDE}/organizations`, { data: { items: [{ uuid: "o-1", name: "Acme" }] } }, "o-1"],
  ["claude", `${CLAUDE}/organizations`, [], null],
  ["claude", `${CLAUDE}/organizations/o-1/members`, [{ email: "other@example.com" }], null],
  ["chatgpt", `${CHATGPT}/backend-api/me`, { id: "user-1", email: "jane@example.com" }, "jane@example.com"],
  ["chatgpt", `${CHATGPT}/backend-api/me`, { id: "user-1", email: null }, "user-1"],
  ["chatgpt", `${CHATGPT}/api/auth/session`, { user: { id: "user-1", email: "j@e.org" }, accessToken: "tok" }, "j@e.org"],
  ["chatgpt", `${CHATGPT}/api/auth/session`, { accessToken: "tok" }, null],
  ["chatgpt", `${CHATGPT}/api/auth/session`, {}, null],
  ["chatgpt", `${CHATGPT}/backend-api/conversations`, { items: [{ id: "c-1" }] }, null],
  ["gemini", "https://gemini.google.com/app", { email: "jane@example.com" }, null],
];

for (const [platform, url, body, expected] of TABLE) {
  test(`${platform} ${new URL(url).pathname} ${JSON.stringify(body).slice(0, 50)}`, () => {
    assert.equal(read(platform, url, body), expected);
    assert.equal(read(platform, url, JSON.stringify(body)), expected);
    assert.equal(read(platform, url, body, { status: 403 }), null);
    assert.equal(read(platform, url, body, { method: "POST" }), null);
  });
}

test("other values are not an account", () => {
  const bodies = ["", "<html>", "null", null, undefined, 7, [], [null], { uuid: 7 }, { email: {} }];
  for (const body of bodies) {
    assert.equal(read("claude", `${CLAUDE}/account`, body), null);
    assert.equal(read("chatgpt", `${CHATGPT}/backend-api/me`, body), null);
  }
});

test("a token is never returned as an account", () => {
  const token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl";
  for (const secret of [token, `Bearer ${token}`, "s".repeat(65), "a b"]) {
    const body = { id: secret, uuid: secret, email: secret, email_address: secret, name: secret, accessToken: secret };
    assert.equal(read("claude", `${CLAUDE}/account`, body), null);
    assert.equal(read("chatgpt", `${CHATGPT}/backend-api/me`, body), null);
    assert.equal(read("chatgpt", `${CHATGPT}/api/auth/session`, { user: body, sessionToken: secret }), null);
  }
});
