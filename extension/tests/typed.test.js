import assert from "node:assert/strict";
import test from "node:test";
import { PagePorts } from "../background/page-ports.js";
import { makeTemplate } from "../background/template.js";
import { FakePort } from "./support/fakes.js";
import { source } from "./support/page.js";
import { notes, NOW, PROMPT } from "./support/sends.js";

/** Runs `content/typed.js` in a page with fields only. */
function make() {
  const listeners = new Map();
  const time = { now: NOW };
  const global = {};
  const run = new Function("addEventListener", "globalThis", "Date", source("content/typed.js"));
  run((type, act) => listeners.set(type, act), global, { now: () => time.now });
  const fire = (type, more = {}) => listeners.get(type)({ isTrusted: true, composedPath: () => [more.target], ...more });
  const area = (value) => ({ localName: "textarea", value });
  const type = (target) => fire("input", { target });
  const enter = () => fire("keydown", { key: "Enter" });
  const send = (target) => {
    type(target);
    enter();
  };
  const places = (body, type = "application/json") => global.baaTyped({ n: "1", body, type }).places;
  return { fire, area, type, enter, send, places, time, global };
}

test("typed and sent text is found in a request, and becomes a template", () => {
  const { send, area, places, global } = make();
  send(area(PROMPT));
  assert.deepEqual(global.baaTyped({ n: "7", body: "{}" }), { t: "typed", n: "7", places: [] });
  const found = places(notes().body);
  assert.deepEqual(found, [["question"]]);
  assert.ok(makeTemplate(notes(), found, NOW).template);
});

test("typed text is found in every kind of body, at the background's paths", () => {
  const wrapped = { list: [{ a: "x" }, { text: JSON.stringify({ inner: [PROMPT] }) }] };
  const form = new URLSearchParams([["q", "1"], ["q", PROMPT], ["j", JSON.stringify([PROMPT])]]).toString();
  for (const [body, type, expected] of [
    [JSON.stringify(wrapped), "application/json", [["list", 1, "text", "inner", 0]]],
    [JSON.stringify(PROMPT), "application/json", [[]]],
    [PROMPT, "text/plain", [[]]],
    [form, "application/x-www-form-urlencoded", [["q", 1], ["j", 0]]],
  ]) {
    const { send, area, places } = make();
    send(area(PROMPT));
    const found = places(body, type);
    assert.deepEqual(found, expected);
    const { template } = makeTemplate({ ...notes(), headers: [{ name: "content-type", value: type }], body }, found, NOW);
    assert.equal(template.body.filter((piece) => piece.slot === "prompt").length, expected.length);
  }
});

test("white space may differ, words may not", () => {
  const { send, places } = make();
  const host = { localName: "div", isContentEditable: true, parentElement: null, innerText: "two\n\nlines\u00a0here\u200b\n" };
  const inner = { localName: "p", isContentEditable: true, parentElement: host };
  send(inner);
  assert.deepEqual(places(JSON.stringify({ q: "two lines" })), []);
  assert.deepEqual(places(JSON.stringify({ q: " two\r\nlines here" })), [["q"]]);
});

test("only the first request with the text is the send", () => {
  const { send, area, places } = make();
  send(area("Hello"));
  assert.deepEqual(places('{"q":"Hello"}'), [["q"]]);
  assert.deepEqual(places('{"title":"Hello"}'), []);
});

test("text that was not sent, is old, is synthetic or is a password is not found", () => {
  const body = '{"q":"Hello"}';
  const drafting = make();
  drafting.type(drafting.area("Hello"));
  drafting.fire("keydown", { key: "o" });
  assert.deepEqual(drafting.places(body), []);
  drafting.fire("pointerdown");
  drafting.time.now += 30_001;
  assert.deepEqual(drafting.places(body), []);
  const scripted = make();
  scripted.fire("input", { target: scripted.area("Hello"), isTrusted: false });
  scripted.enter();
  assert.deepEqual(scripted.places(body), []);
  for (const target of [{ localName: "input", type: "password", value: "Hello" }, { localName: "div", innerText: "Hello" }, { localName: "textarea", value: " " }, undefined]) {
    const { send, places } = make();
    send(target);
    assert.deepEqual(places(body), []);
  }
  const pressed = make();
  pressed.type({ localName: "input", type: "search", value: "Hello" });
  pressed.fire("click");
  assert.deepEqual(pressed.places(body), [["q"]]);
});

test("text typed before a password or another field is not a prompt", () => {
  const login = make();
  const name = login.area("bob");
  login.type(name);
  login.fire("pointerdown");
  login.send({ localName: "input", type: "password", value: "hunter2" });
  assert.deepEqual(login.places('{"user":"bob","password":"hunter2"}'), []);
  const other = make();
  other.type(other.area("Hello"));
  other.send({ localName: "input", type: "number", value: "7" });
  assert.deepEqual(other.places('{"q":"Hello"}'), []);
});

test("an app may empty its field at once, and four texts are kept", () => {
  const { area, type, enter, places } = make();
  for (let i = 0; i < 5; i += 1) {
    const field = area(`text ${i}`);
    type(field);
    enter();
    field.value = "";
    enter();
  }
  assert.deepEqual(places('{"q":"text 0"}'), []);
  assert.deepEqual(places('{"q":"text 1"}'), [["q"]]);
  assert.deepEqual(places('{"q":"text 4"}'), [["q"]]);
});

test("the question about typed text does not reach the page", () => {
  const posted = [];
  let hear;
  const port = { onMessage: { addListener: (act) => (hear = act) }, onDisconnect: { addListener: () => {} }, postMessage: (text) => posted.push(text) };
  const heard = [];
  let channel;
  const doc = Object.assign(new EventTarget(), { readyState: "loading", scripts: [] });
  doc.addEventListener("baa-conductor-channel", ({ detail }) => {
    channel = detail;
    doc.addEventListener(`${detail}-in`, ({ detail: text }) => heard.push(text));
  });
  const bridge = new Function("document", "browser", "addEventListener", "globalThis", source("content/bridge.js"));
  bridge(doc, { runtime: { connect: () => port } }, () => {}, { baaTyped: ({ n }) => ({ t: "typed", n, places: [] }) });
  hear(JSON.stringify({ t: "which", n: "5", body: "secret" }));
  hear('{"t":"ack"}');
  const answer = { t: "typed", n: "5", places: [] };
  assert.deepEqual([posted, heard], [[answer], ['{"t":"ack"}']]);
  doc.dispatchEvent(new CustomEvent(`${channel}-out`, { detail: answer }));
  doc.dispatchEvent(new CustomEvent(`${channel}-out`, { detail: JSON.stringify(answer) }));
  assert.deepEqual(posted.map((each) => typeof each), ["object", "string", "string"]);
});

test("text messages are never taken for the answer about typed text", () => {
  const told = [];
  const note = (name) => (...args) => told.push([name, args.at(-1)]);
  const pages = new PagePorts({ ready: () => {}, gone: () => {}, message: note("message"), typed: note("typed") });
  const port = new FakePort(1);
  pages.connected(port);
  const answer = { t: "typed", n: "5", places: [] };
  port.onMessage.fire(JSON.stringify(answer));
  port.onMessage.fire(answer);
  assert.deepEqual(told, [["message", JSON.stringify(answer)], ["typed", answer]]);
});
