import assert from "node:assert/strict";
import test from "node:test";
import { TemplateLearner } from "../background/template-learner.js";
import { extractorFor } from "../platforms/index.js";
import { FakeEvent, FakePort } from "./support/fakes.js";
import { CHATGPT, chatgpt, GEMINI, gemini, notes, NOTES, NOW, PROMPT } from "./support/sends.js";

const raw = (text) => ({ raw: [{ bytes: new TextEncoder().encode(text).buffer }] });
const formData = (text) => {
  const found = {};
  for (const [name, value] of new URLSearchParams(text)) (found[name] ??= []).push(value);
  return { formData: found };
};

function make() {
  const webRequest = { onBeforeRequest: new FakeEvent(), onResponseStarted: new FakeEvent(), onErrorOccurred: new FakeEvent() };
  const learned = [];
  const said = [];
  const port = new FakePort(1, 0, "https://notes.example/");
  const learner = new TemplateLearner({
    webRequest,
    extractorFor,
    port: (tabId) => (tabId === 1 ? port : undefined),
    learned: (name, template) => learned.push([name, template]),
    now: () => NOW,
    log: (level, message) => said.push(message),
  });
  learner.listen(["https://notes.example/*"]);
  let id = 0;
  /** Delivers the browser's events of a request up to its answer. */
  const send = (platform, { method, url, page, headers, body }, { requestBody = raw(body), status, ...more } = {}) => {
    id += 1;
    const details = { requestId: `${id}`, tabId: 1, method, url, type: "xmlhttprequest", documentUrl: page, originUrl: page, frameAncestors: [], requestHeaders: headers, ...more };
    webRequest.onBeforeRequest.fire({ ...details, requestBody });
    learner.sent(platform, details);
    if (status) webRequest.onResponseStarted.fire({ requestId: `${id}`, statusCode: status });
    return `${id}`;
  };
  const asked = () => port.sent.map(({ t, n }) => `${t} ${n}`);
  return { learner, webRequest, learned, said, port, send, asked };
}

test("templates of ChatGPT and Gemini are learned without the typed text", () => {
  const { learned, send, asked } = make();
  send(CHATGPT, chatgpt(), { status: 200 });
  send(GEMINI, gemini(), { requestBody: formData(gemini().body), status: 200 });
  assert.deepEqual([learned.map(([name]) => name), asked()], [["chatgpt", "gemini"], []]);
  assert.equal(learned[1][1].body.filter((piece) => piece.slot === "prompt").length, 1);
});

test("a repeated prompt is replaced everywhere, and a short one is not learned", () => {
  const { learned, said, send } = make();
  send(CHATGPT, chatgpt({ title: ` ${PROMPT.replace("\n", "\r\n")}`, wrapped: JSON.stringify({ text: PROMPT }) }), { status: 200 });
  const [[, template]] = learned;
  assert.equal(template.body.filter((piece) => piece.slot === "prompt").length, 3);
  assert.ok(!JSON.stringify(template).includes("tea"));
  const short = chatgpt({ title: "Hi" });
  send(CHATGPT, { ...short, body: short.body.replace(JSON.stringify(PROMPT), '"Hi"') }, { status: 200 });
  assert.deepEqual([learned.length, said.length], [1, 1]);
});

test("for other apps the page is asked for the paths of the typed text", () => {
  const { learner, learned, port, send } = make();
  const n = send(NOTES, notes(), { status: 201 });
  assert.deepEqual(port.sent, [{ t: "which", n, body: notes().body, type: "application/json" }]);
  assert.deepEqual(learned, []);
  learner.typed(2, { n, places: [["question"]] });
  assert.deepEqual(learned, [], "another tab's word does not count");
  learner.typed(1, { n, places: [["question"]] });
  learner.typed(1, { n, places: [["question"]] });
  assert.deepEqual(learned.map(([name]) => name), ["notes"]);
  const early = send(NOTES, notes());
  learner.typed(1, { n: early, places: [["question"]] });
  assert.equal(learned.length, 1);
  learner.answered(early, 200);
  assert.equal(learned.length, 2);
});

test("only a send with a successful answer is learned", () => {
  const { learner, learned, webRequest, send } = make();
  for (const status of [302, 400, 403, 500]) send(CHATGPT, chatgpt(), { status });
  const broken = send(CHATGPT, chatgpt());
  webRequest.onErrorOccurred.fire({ requestId: broken });
  learner.answered(broken, 200);
  const unnamed = send(NOTES, notes(), { status: 200 });
  learner.typed(1, { n: unnamed, places: [] });
  learner.typed(1, { n: unnamed, places: [["question"]] });
  const nonsense = send(NOTES, notes(), { status: 200 });
  learner.typed(1, { n: nonsense, places: "question" });
  assert.deepEqual(learned, []);
});

test("requests that cannot be a send are ignored", () => {
  const { learned, send, asked } = make();
  send({ ...NOTES, prompt: "" }, notes(), { status: 200 });
  send({ ...NOTES, prompt: "claude" }, notes(), { status: 200 });
  send(NOTES, { ...notes(), page: "https://other.notes.example/" }, { status: 200 });
  send(NOTES, { ...notes(), page: undefined }, { status: 200 });
  send(NOTES, { ...notes(), method: "DELETE" }, { status: 200 });
  send(NOTES, notes(), { status: 200, type: "main_frame" });
  send(NOTES, notes(), { status: 200, tabId: 9 });
  send(NOTES, notes(), { status: 200, requestBody: null });
  send(NOTES, notes(), { status: 200, requestBody: { raw: [{ file: "/home/x" }] } });
  send(NOTES, notes(), { status: 200, requestBody: { raw: [{ bytes: new Uint8Array([0xff, 0xfe]).buffer }] } });
  send(NOTES, notes(), { status: 200, requestBody: raw("x".repeat((1 << 20) + 1)) });
  send(NOTES, { ...notes(), headers: [{ name: "content-type", value: "multipart/form-data; boundary=x" }] }, { status: 200 });
  send(CHATGPT, { ...chatgpt(), url: "https://chatgpt.com/backend-api/f/conversation/prepare" }, { status: 200 });
  send(CHATGPT, chatgpt({ action: "variant" }), { status: 200 });
  assert.deepEqual([learned, asked()], [[], []]);
});

test("other hosts of the platform are ignored, as page and as target", () => {
  const { learned, send, asked } = make();
  const elsewhere = { url: "https://x.chatgpt.com/backend-api/conversation", page: "https://x.chatgpt.com/" };
  for (const more of [{ page: elsewhere.page }, { url: elsewhere.url }, elsewhere, { page: undefined }]) send(CHATGPT, { ...chatgpt(), ...more }, { status: 200 });
  const hosts = ["notes.example", "*.notes.example"];
  const ofNotes = { page: "https://x.notes.example/", url: "https://x.notes.example/api/ask" };
  send({ ...NOTES, hosts }, { ...notes(), ...ofNotes }, { status: 200 });
  assert.deepEqual([learned, asked()], [[], []]);
});

test("the number of tracked bodies and sends is limited", () => {
  const { learner, learned, send, asked } = make();
  for (let i = 0; i < 40; i += 1) send(NOTES, notes());
  for (let i = 1; i <= 40; i += 1) {
    learner.answered(`${i}`, 200);
    learner.typed(1, { n: `${i}`, places: [["question"]] });
  }
  assert.deepEqual([asked().length, learned.length], [40, 32]);
});

test("an unclear send is logged without its content", () => {
  const { learner, said, send } = make();
  const n = send(NOTES, notes({ more: "of the user" }), { status: 200 });
  learner.typed(1, { n, places: [["nowhere"]] });
  assert.deepEqual(said, ["No prompt template of notes was learned from a send: the prompt's place in it is not clear."]);
});

test("without a platform with templates there are no listeners", () => {
  const { learner, webRequest, learned, send } = make();
  learner.listen([]);
  send(CHATGPT, chatgpt(), { status: 200 });
  assert.deepEqual(learned, []);
  learner.listen(["https://chatgpt.com/*"]);
  learner.listen(["https://chatgpt.com/*"]);
  webRequest.onBeforeRequest.fire({ requestId: "x", method: "GET" });
  send(CHATGPT, chatgpt(), { status: 200 });
  assert.equal(learned.length, 1);
});
