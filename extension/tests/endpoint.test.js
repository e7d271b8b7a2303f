import assert from "node:assert/strict";
import { test } from "node:test";

import { endpoint } from "../platforms/index.js";

const UUID = "5f0c3a3e-aaaa-4bbb-8ccc-ddddeeeeffff";

const TABLE = [
  ["GET", "https://claude.ai/", "GET /"],
  ["get", "https://claude.ai", "GET /"],
  ["GET", "https://claude.ai/api/organizations?limit=3#top", "GET /api/organizations"],
  ["POST", `https://claude.ai/api/organizations/${UUID}/chat_conversations/${UUID.toUpperCase()}/completion`,
    "POST /api/organizations/{id}/chat_conversations/{id}/completion"],
  ["GET", "/api/organizations/org-1/chat_conversations/conv-1", "GET /api/organizations/{id}/chat_conversations/{id}"],
  ["POST", "https://chatgpt.com/backend-api/f/conversation", "POST /backend-api/f/conversation"],
  ["GET", "/backend-api/conversation/6861a0b2-cccc-8003-9d1e-0123456789ab/stream_status",
    "GET /backend-api/conversation/{id}/stream_status"],
  ["GET", "/api/auth/session", "GET /api/auth/session"],
  ["POST", "https://gemini.google.com/_/BardChatUi/data/assistant.lamda.BardFrontendService/StreamGenerate?at=x",
    "POST /_/BardChatUi/data/assistant.lamda.BardFrontendService/StreamGenerate"],
  ["POST", "/u/1/_/BardChatUi/data/batchexecute", "POST /u/{id}/_/BardChatUi/data/batchexecute"],
  ["GET", "/v1/models", "GET /v1/models"],
  ["GET", "/v1beta2/models:list", "GET /v1beta2/models:list"],
  ["GET", "/oauth2/token", "GET /oauth2/token"],
  ["GET", "/app/77aa1234bb", "GET /app/{id}"],
  ["GET", "/g/g-p-68abcdef0123456789", "GET /g/{id}"],
  ["GET", "/items/42/parts/7", "GET /items/{id}/parts/{id}"],
  ["GET", "/static/main.3f2a9c.js", "GET /static/{id}"],
  ["GET", "/files/file-AbCdEfGhIjKlMnOp", "GET /files/{id}"],
  ["GET", "/blob/d41d8cd98f00b204e9800998ecf8427e", "GET /blob/{id}"],
  ["GET", "/blob/deadbeefcafe", "GET /blob/{id}"],
  ["GET", "/t/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "GET /t/{id}"],
  ["GET", "/t/QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "GET /t/{id}"],
  ["GET", "/t/aBcDeFgHiJkLmN", "GET /t/{id}"],
  ["GET", "/users/jane@example.com/avatar", "GET /users/{id}/avatar"],
  ["GET", "/users/jane%40example.com", "GET /users/{id}"],
  ["GET", "/search/three%20rivers", "GET /search/{id}"],
  ["GET", "/page;jsessionid=abc", "GET /{id}"],
  ["GET", "/api//double/", "GET /api//double/"],
  ["GET", `/${"x".repeat(80)}`, "GET /{id}"],
  ["GET", "/a/../b/./c", "GET /b/c"],
  ["GET", "http://[", "GET /"],
  ["G E T", "/a", "GET /a"],
];

for (const [method, url, expected] of TABLE) {
  test(`${method} ${url.slice(0, 60)}`, () => assert.equal(endpoint(method, url), expected));
}

test("a long path is cut between its parts", () => {
  const name = endpoint("DELETE", `/${"part/".repeat(200)}`);
  assert.ok(name.length <= 300);
  assert.match(name, /^DELETE (\/part)+$/);
  assert.ok(endpoint("GET", `/${"1/".repeat(500)}`).length <= 300);
});
