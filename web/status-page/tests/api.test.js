import assert from "node:assert/strict";
import { test } from "node:test";
import { Api, isNoRoute, part } from "../assets/api.js";

const answered = (status, body, headers = {}) => async () => new Response(body, { status, headers });

test("a call goes to the same origin alone, with JSON where it says something", async () => {
  const seen = [];
  const api = new Api(async (path, options) => {
    seen.push([path, options]);
    return new Response('{"ok":true,"data":1}');
  });
  await api.get("/a");
  await api.post("/b", { c: 1 });
  await api.delete("/d");
  assert.deepEqual(seen.map(([path, { method, body }]) => [path, method, body]), [["/a", "GET", undefined], ["/b", "POST", '{"c":1}'], ["/d", "DELETE", undefined]]);
  for (const [, options] of seen) {
    assert.deepEqual([options.mode, options.credentials, options.redirect, options.cache], ["same-origin", "same-origin", "error", "no-store"]);
  }
  assert.equal(seen[1][1].headers["content-type"], "application/json");
});

test("an answer, a refusal, something else and nothing are told apart", async () => {
  const date = "Sat, 28 Nov 2026 16:18:24 GMT";
  const good = await new Api(answered(200, '{"ok":true,"data":{"a":1}}', { date })).get("/");
  assert.deepEqual([good.ok, good.data, good.date], [true, { a: 1 }, Date.parse(date)]);
  const refused = await new Api(answered(404, '{"ok":false,"error":"not_found","message":"No.","details":{"resource":"route"}}')).get("/");
  assert.deepEqual([refused.ok, refused.status, refused.error, refused.message, isNoRoute(refused)], [false, 404, "not_found", "No.", true]);
  const other = await new Api(answered(200, "<html>")).get("/");
  const nothing = await new Api(async () => Promise.reject(new TypeError("refused"))).get("/");
  assert.deepEqual([other.status, nothing.status], [0, 0]);
  assert.equal(isNoRoute(good) || isNoRoute(nothing), false);
});

test("a part of a path cannot become another path", () => {
  assert.equal(part("../a b?c#d/e"), "..%2Fa%20b%3Fc%23d%2Fe");
});
