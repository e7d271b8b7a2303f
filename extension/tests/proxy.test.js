import assert from "node:assert/strict";
import test from "node:test";
import { JsonText } from "../background/body.js";
import { readFailure, PROGRESS_MS } from "../background/proxy.js";
import { FakePort } from "./support/fakes.js";
import { makeProxy } from "./support/proxy.js";
import { CHATGPT, chatgpt, GEMINI, gemini } from "./support/sends.js";

test("a request goes to the page with the captured headers and the caller's over them", async () => {
  const { ask, mine } = makeProxy({ captured: { "x-csrf": "page", authorization: "page" } });
  const sent = await ask({ method: "post", headers: { "X-CSRF": "caller", cookie: "no" }, body: { a: 1 } });
  assert.deepEqual([sent.url, sent.method, sent.body], ["https://claude.ai/api/x", "POST", '{"a":1}']);
  assert.deepEqual(sent.headers, { "x-csrf": "caller", authorization: "page", "content-type": "application/json" });
  assert.equal(mine(), 1);
});

test("a text body is sent unchanged, and no body if there is none", async () => {
  const first = await makeProxy().ask({ method: "POST", body: "a=1", headers: { "content-type": "application/x-www-form-urlencoded" } });
  assert.deepEqual([first.body, first.headers["content-type"]], ["a=1", "application/x-www-form-urlencoded"]);
  assert.equal("body" in (await makeProxy().ask({ body: null })), false);
});

test("other hosts, and prompts without a template, are refused before a page is involved", async () => {
  for (const [more, error] of [
    [{ path: "https://claude.ai.evil.example/" }, "host_not_allowed"],
    [{ path: "https://claude.ai@evil.example/" }, "host_not_allowed"],
    [{ path: "//evil.example/" }, "host_not_allowed"],
    [{ platform: "unknown" }, "host_not_allowed"],
    [{ path: undefined }, "host_not_allowed"],
    [{ path: "/api/auth/session" }, "credential_path"],
    [{ path: "/API/x%2f..%2f%2561uth/session" }, "credential_path"],
    [{ path: "https://api.claude.ai/v1//oauth/org/authorize?x" }, "credential_path"],
    [{ path: undefined, prompt: "Hello" }, "template_refused"],
  ]) {
    for (const response_mode of ["buffered", "sse"]) {
      const { ask, frames, proxy } = makeProxy();
      assert.equal(await ask({ ...more, response_mode }), undefined);
      assert.equal(frames[0].error ?? frames[0].code, error);
      assert.equal(frames[0].type, response_mode === "sse" ? "stream_error" : "api_response");
      assert.equal(proxy.running, 0);
    }
  }
});

test("an answer from another host after a redirect is refused", async () => {
  const { ask, say, frames, port } = makeProxy();
  await ask();
  say("head", { status: 200, headers: {}, url: "https://evil.example/" });
  assert.deepEqual([frames[0].error, port.sent.at(-1).t], ["host_not_allowed", "abort"]);
});

test("a buffered answer is sent whole", async () => {
  const { ask, say, head, frames, proxy, mine } = makeProxy();
  await ask();
  head("application/json", 201);
  say("chunk", { text: '{"a":' });
  say("chunk", { text: "1}" });
  assert.deepEqual(frames, []);
  say("end");
  assert.deepEqual(frames, [{ type: "api_response", id: "r", ok: true, status: 201, headers: { "content-type": "application/json" }, body: { a: 1 } }]);
  assert.deepEqual([proxy.running, mine()], [0, 0]);
});

test("a stream is sent event by event", async () => {
  const { ask, say, head, frames } = makeProxy();
  await ask({ response_mode: "sse", stream_id: "s" });
  head("text/event-stream");
  say("chunk", { text: "data: 1\n\nda" });
  say("chunk", { text: "ta: 2\n\n" });
  say("end");
  assert.deepEqual(frames.map(({ type, stream_id, seq }) => [type, stream_id, seq]), [
    ["stream_open", "s", undefined], ["stream_event", "s", 1], ["stream_event", "s", 2], ["stream_end", "s", undefined],
  ]);
  assert.deepEqual(frames[0].meta, { method: "GET", platform: "claude", url: "https://claude.ai/api/x" });
});

test("cancelling aborts the fetch and is answered once", async () => {
  for (const response_mode of ["buffered", "sse"]) {
    const { ask, say, head, frames, port, proxy } = makeProxy();
    await ask({ response_mode });
    head("text/event-stream");
    proxy.cancel({ id: "r" });
    say("fail", { code: "fetch_failed" });
    proxy.cancel({ id: "r" });
    assert.deepEqual(port.sent.map(({ t }) => t), ["fetch", "abort"]);
    const last = frames.at(-1);
    assert.deepEqual([last.error ?? last.code, last.status, frames.filter(({ type }) => type !== "stream_open").length], ["request_cancelled", 499, 1]);
  }
});

test("a request cancelled while it waits for its tab does not reach the page", async () => {
  let give;
  const { ask, port, frames, proxy } = makeProxy({ page: new Promise((resolve) => (give = resolve)) });
  const asked = ask();
  proxy.cancel({ id: "r" });
  give({ tabId: 5, port });
  await asked;
  assert.deepEqual([port.sent, frames.map(({ error }) => error)], [[], ["request_cancelled"]]);
});

test("a request fails without a tab, or when the tab goes away", async () => {
  const without = makeProxy({ page: null });
  await without.ask();
  assert.equal(without.frames[0].error, "tab_unavailable");
  const { ask, head, say, frames, proxy, port } = makeProxy();
  await ask({ response_mode: "sse" });
  head("text/event-stream");
  say("chunk", { text: "data: 1\n\n" });
  proxy.portGone(new FakePort(9));
  assert.equal(proxy.running, 1);
  proxy.portGone(port);
  assert.deepEqual(frames.map(({ type, code }) => code ?? type), ["stream_open", "stream_event", "tab_unavailable"]);
});

test("only known codes and plain messages of a page's failure are passed on", async () => {
  const { ask, say, head, frames } = makeProxy();
  await ask({ response_mode: "sse" });
  head("text/event-stream");
  say("fail", { code: "request_cancelled", message: { of: "the page's" } });
  assert.deepEqual([frames.at(-1).code, frames.at(-1).status, frames.at(-1).message], ["fetch_failed", undefined, "The page could not perform the request."]);
  for (const code of ["response_too_large", "host_not_allowed", "fetch_failed"]) assert.deepEqual(readFailure({ code, message: "TypeError in the page" }), [code, "TypeError in the page"]);
  for (const code of ["tab_unavailable", "toString", undefined, null, 7, ["fetch_failed"], {}]) assert.equal(readFailure({ code })[0], "fetch_failed");
  for (const message of [undefined, null, 7, {}, "", "two\nlines", "\u001b[2J", "caf\u00e9", "x".repeat(201)]) {
    assert.deepEqual(readFailure({ code: "host_not_allowed", message }), ["host_not_allowed", "The address is not on the platform's hosts."]);
  }
});

test("progress is sent as long as the request runs", async () => {
  const { clock, ask, say, head, frames } = makeProxy();
  await ask();
  await clock.pass(3 * PROGRESS_MS);
  assert.deepEqual(frames, Array(3).fill({ type: "progress", id: "r" }));
  head();
  say("end");
  await clock.pass(3 * PROGRESS_MS);
  assert.equal(frames.length, 4);
});

test("a lost connection aborts all requests without answers", async () => {
  const { ask, head, frames, proxy, port } = makeProxy();
  await ask();
  head();
  proxy.abortAll();
  assert.deepEqual([port.sent.at(-1).t, frames, proxy.running], ["abort", [], 0]);
});

test("another page cannot answer, and the same request is not performed twice", async () => {
  const { ask, head, proxy, frames, port } = makeProxy();
  await ask();
  await ask();
  assert.equal(port.sent.length, 1);
  head();
  proxy.message(new FakePort(6), { t: "end", id: port.sent[0].id });
  assert.equal(proxy.running, 1);
  assert.deepEqual(frames, []);
});

test("late messages about a cancelled request do not affect the next one of that id", async () => {
  const { ask, say, head, frames, proxy, port } = makeProxy();
  const first = await ask({ method: "POST" });
  proxy.cancel({ id: "r" });
  const second = await ask({ method: "POST" });
  assert.notEqual(first.id, second.id);
  assert.deepEqual(port.sent.map(({ t, id }) => [t, id]), [["fetch", first.id], ["abort", first.id], ["fetch", second.id]]);
  head();
  proxy.message(port, { t: "chunk", id: first.id, text: "late" });
  proxy.message(port, { t: "fail", id: first.id, code: "fetch_failed" });
  assert.equal(proxy.running, 1);
  say("chunk", { text: "2" });
  say("end");
  assert.deepEqual(frames.map(({ error, body }) => error ?? body), ["request_cancelled", 2]);
});

test("a request that lost its connection while waiting for its tab is not performed", async () => {
  let give;
  const { ask, say, head, frames, port, proxy, mine } = makeProxy({ page: new Promise((resolve) => (give = resolve)) });
  const first = ask({ method: "POST" });
  proxy.abortAll();
  const second = ask({ method: "POST" });
  give({ tabId: 5, port });
  await Promise.all([first, second]);
  assert.deepEqual([port.sent.map(({ t }) => t), proxy.running, mine()], [["fetch"], 1, 1]);
  head();
  say("end");
  assert.deepEqual([frames.length, proxy.running, mine()], [1, 0, 0]);
});

test("JSON bodies are sent unchanged", async () => {
  const sent = await makeProxy().ask({ method: "POST", body: new JsonText("[12345678901234567890]") });
  assert.deepEqual([sent.body, sent.headers["content-type"]], ["[12345678901234567890]", "application/json"]);
});

test("only listed response headers are passed on, whatever the page sends", async () => {
  for (const response_mode of ["buffered", "sse"]) {
    const { ask, say, frames } = makeProxy();
    await ask({ response_mode });
    const kept = { "content-type": "text/plain", "Retry-After": "1", "retry-after-ms": "1000", "x-request-id": "7", "x-ratelimit-left": "0", "cf-mitigated": "challenge" };
    const other = { "set-cookie": "a=b", "Set-Cookie2": "a=b", "x-set-cookie": "a=b", "cf-mitigated-x": "x", location: "/x", "www-authenticate": "x", authorization: "secret", "x-content-type": "x", "x-ratelimit-": "x", "x-ratelimit-n": 5 };
    say("head", { status: 200, headers: { ...other, ...kept }, url: "https://claude.ai/api/x" });
    say("end");
    assert.deepEqual(frames[0].headers, kept);
  }
});

test("no answer of a credential path is passed on, also after redirects", async () => {
  const { ask, say, frames, port } = makeProxy();
  await ask();
  say("head", { status: 200, headers: {}, url: "https://claude.ai/api/auth/session" });
  say("chunk", { text: "TOKEN" });
  assert.deepEqual([frames.length, frames[0].error, port.sent.at(-1).t], [1, "credential_path", "abort"]);
  const filled = makeProxy({ filled: () => ({ method: "POST", url: "https://claude.ai/api/auth/session", headers: {}, body: "" }) });
  assert.equal(await filled.ask({ method: undefined, path: undefined, prompt: "Hello" }), undefined);
  assert.equal(filled.frames[0].error, "credential_path");
});

test("an answer without headers is accepted", async () => {
  const { ask, say, frames } = makeProxy();
  await ask();
  say("head", { status: 204 });
  say("end");
  assert.deepEqual([frames[0].status, frames[0].headers], [204, {}]);
});

const FILLED = (prompt) => ({ method: "POST", url: "https://claude.ai/api/chats/0b9a3a7e-58c1-4d1f-9c55-2f1f6c1d7a10?sid=SECRET", headers: { "content-type": "text/plain", accept: "*/*" }, body: `say ${prompt}` });
const PROMPT = { method: undefined, path: undefined, prompt: "Hello" };

test("a prompt is sent as its filled template with the replayed headers, on the platform's hosts only", async () => {
  const { ask, mine } = makeProxy({ filled: FILLED, captured: { authorization: "page" } });
  const sent = await ask({ ...PROMPT, headers: undefined });
  assert.deepEqual([sent.method, sent.url, sent.body], ["POST", FILLED("").url, "say Hello"]);
  assert.deepEqual(sent.headers, { authorization: "page", "content-type": "text/plain", accept: "*/*" });
  assert.equal(mine(), 1);
  const elsewhere = makeProxy({ filled: () => ({ ...FILLED(""), url: "https://claude.ai.evil.example/" }) });
  assert.equal(await elsewhere.ask(PROMPT), undefined);
  assert.equal(elsewhere.frames[0].error, "host_not_allowed");
});

test("the answer to a prompt names its endpoint without values of the address", async () => {
  const { ask, head, say, frames, judged } = makeProxy({ filled: FILLED });
  await ask({ ...PROMPT, response_mode: "sse" });
  head("text/event-stream");
  say("chunk", { text: "data: 1\n\n" });
  assert.deepEqual(judged, []);
  say("end");
  assert.deepEqual(frames[0].meta, { method: "POST", platform: "claude", url: "https://claude.ai/api/chats/{id}" });
  assert.deepEqual([frames.at(-1).type, judged], ["stream_end", [["accepted", "claude", "template"]]]);
});

test("a refused template is reported with the app's answer", async () => {
  for (const status of [400, 403, 404, 422]) {
    for (const response_mode of ["buffered", "sse"]) {
      const { ask, head, say, frames, judged } = makeProxy({ filled: FILLED });
      await ask({ ...PROMPT, response_mode });
      head("application/json", status);
      say("chunk", { text: '{"detail":"no"}' });
      say("end");
      const last = frames.at(-1);
      assert.deepEqual([last.error ?? last.code, last.status], ["template_refused", status]);
      if (response_mode === "sse") assert.deepEqual(frames.map(({ type }) => type), ["stream_open", "stream_event", "stream_error"]);
      assert.deepEqual(frames.find(({ body, data }) => body ?? data)?.[response_mode === "sse" ? "data" : "body"], { detail: "no" });
      assert.deepEqual(judged, [["refused", "claude", "template", status]]);
    }
  }
});

test("an error in an answer with status 200 is not an acceptance", async () => {
  const event = (value) => `data: ${JSON.stringify(value)}\n\n`;
  const frame = (entries) => `)]}'\n\n${JSON.stringify(entries)}\n`;
  const answer = { message: { id: "m", author: { role: "assistant" }, recipient: "all", status: "finished_successfully", end_turn: true, content: { content_type: "text", parts: ["Hi"] } } };
  for (const [platform, send, text, isAccepted] of [
    [CHATGPT, chatgpt(), event({ type: "error" }) + event("x").replace('"x"', "[DONE]"), false],
    [CHATGPT, chatgpt(), JSON.stringify({ detail: "Unusual activity" }), false],
    [CHATGPT, chatgpt(), event(answer) + "data: [DONE]\n\n", true],
    [GEMINI, gemini(), frame([["er", null, null, null, null, 400]]), false],
    [GEMINI, gemini(), frame([["wrb.fr", null, null, null, null, [13]]]), false],
    [GEMINI, gemini(), frame([["wrb.fr", null, JSON.stringify([null, ["c_1"], null, null, [["rc_1", ["Hi"]]]])]]), true],
  ]) {
    for (const response_mode of ["buffered", "sse"]) {
      const filled = () => ({ method: send.method, url: send.url, headers: {}, body: send.body });
      const { ask, say, judged } = makeProxy({ platform, filled });
      await ask({ ...PROMPT, platform: platform.platform, response_mode });
      say("head", { status: 200, headers: { "content-type": "text/event-stream" }, url: send.url });
      for (const half of [text.slice(0, 9), text.slice(9)]) say("chunk", { text: half });
      say("end");
      assert.deepEqual(judged, isAccepted ? [["accepted", platform.platform, "template"]] : [], text);
    }
  }
});

test("unrelated failures do not change the template", async () => {
  for (const status of [302, 401, 408, 413, 425, 429, 500, 503]) {
    const { ask, head, say, frames, judged } = makeProxy({ filled: FILLED });
    await ask(PROMPT);
    head("application/json", status);
    say("end");
    assert.deepEqual([judged, frames[0].error], [[], status < 400 ? undefined : `http_${status}`]);
  }
  const { ask, head, judged, proxy } = makeProxy({ filled: FILLED });
  await ask(PROMPT);
  head();
  proxy.cancel({ id: "r" });
  assert.deepEqual(judged, []);
  const path = makeProxy({ filled: FILLED });
  await path.ask();
  path.head("application/json", 403);
  path.say("end");
  assert.deepEqual([path.judged, path.frames[0].error], [[], "http_403"]);
});
