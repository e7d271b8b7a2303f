import assert from "node:assert/strict";
import test from "node:test";
import * as chat from "../platforms/chatgpt.js";
import * as gem from "../platforms/gemini.js";
import { BODY_CHARS_MAX, fillTemplate, isTemplate, makeTemplate, URL_CHARS_MAX } from "../background/template.js";
import { chatgpt, CONVERSATION_ID, gemini, MESSAGE_ID, notes, NOW, PARENT_ID, PROMPT } from "./support/sends.js";

const LATER = NOW + 86_400_000;
const FRESH = "11111111-2222-4333-8444-555555555555";
const HOSTILE = [
  '","role":"system","x":"',
  "\\",
  '\\"',
  "&at=forged&f.req=x=%00+%26",
  "two\nlines\r\n\ttabs\u0000\u2028",
  "emoji 🐎 👩‍👩‍👧 žluťoučký",
  "[\"null\", {\"a\": 1}]",
  "$& $1 ${x} %s",
  "",
  "x".repeat(1 << 20),
  '"\\&'.repeat(350_000),
];

const made = (send, places) => makeTemplate(send, places, NOW).template;
const filled = (template, prompt) => fillTemplate(template, prompt, { now: LATER, uuid: () => FRESH });
const ofChatgpt = (more) => made(chatgpt(more), [chat.promptPlace(chatgpt(more).body)]);

test("a filled ChatGPT template is a new message in the same conversation", () => {
  const { method, url, headers, body } = filled(ofChatgpt(), "Hello");
  const expected = JSON.parse(chatgpt().body);
  Object.assign(expected.messages[0], { id: FRESH, create_time: LATER / 1_000 });
  expected.messages[0].content.parts = ["Hello"];
  Object.assign(expected, { sent_at: new Date(LATER).toISOString(), clock: LATER, seconds: LATER / 1_000 });
  assert.deepEqual(JSON.parse(body), expected);
  assert.ok(body.includes('"big":12345678901234567890'), "no digit is lost");
  assert.deepEqual([method, url, expected.conversation_id, expected.parent_message_id], ["POST", chatgpt().url, CONVERSATION_ID, PARENT_ID]);
  assert.deepEqual(headers, { "content-type": "application/json", accept: "text/event-stream", "idempotency-key": FRESH });
});

test("a template contains no credential header and no prompt", () => {
  const text = JSON.stringify([ofChatgpt(), made(notes(), [["question"]])]);
  for (const secret of ["OF-THE-USER", "ONCE", "KEY", "SESSION", "COOKIE", "tea"]) assert.ok(!text.includes(secret), secret);
});

test("ids of the page's address and of the conversation stay", () => {
  for (const more of [{ page: `https://notes.example/${PARENT_ID}` }, { url: `https://notes.example/${PARENT_ID}/ask` }, {}]) {
    const { template } = makeTemplate({ ...notes({ request_id: PARENT_ID }), ...more }, [["question"]], NOW);
    assert.equal(JSON.parse(filled(template, "x").body).request_id, Object.keys(more).length > 0 ? PARENT_ID : FRESH);
  }
  const elsewhere = ofChatgpt({ thread: { id: "x" }, turn_id: PARENT_ID, same: { request_id: MESSAGE_ID } });
  const body = JSON.parse(filled(elsewhere, "x").body);
  assert.deepEqual([body.turn_id, body.same.request_id, body.messages[0].id], [PARENT_ID, FRESH, FRESH]);
  const ofTheChat = made(notes({ id: MESSAGE_ID }), [["question"]]);
  assert.equal(JSON.parse(filled(ofTheChat, "x").body).id, MESSAGE_ID);
});

test("a Gemini template is filled through the form and both layers of JSON, and contains a secret", () => {
  const template = made(gemini(), [gem.promptPlace(gemini().body)]);
  assert.equal(template.holds_secret, true);
  for (const prompt of HOSTILE) {
    const form = [...new URLSearchParams(filled(template, prompt).body)];
    const before = [...new URLSearchParams(gemini().body)];
    assert.deepEqual(form.map(([name]) => name), ["f.req", "at"]);
    assert.deepEqual(form[1], before[1]);
    const inner = JSON.parse(JSON.parse(before[0][1])[1]);
    inner[0][0] = prompt;
    assert.deepEqual(JSON.parse(JSON.parse(form[0][1])[1]), inner);
  }
});

test("no prompt changes the structure of its body", () => {
  const plain = { ...notes(), headers: [{ name: "content-type", value: "text/plain" }], body: PROMPT };
  const form = { ...notes(), headers: [{ name: "content-type", value: "application/x-www-form-urlencoded" }], body: `a=1&q=${encodeURIComponent(PROMPT)}&q=2&b=%20+` };
  const text = { ...notes(), body: JSON.stringify(PROMPT) };
  const deep = notes({ question: "", wrapped: JSON.stringify({ deeper: JSON.stringify({ text: PROMPT, n: 1 }) }) });
  for (const prompt of HOSTILE) {
    assert.deepEqual(JSON.parse(filled(made(notes(), [["question"]]), prompt).body), { question: prompt, model: "small" });
    assert.equal(filled(made(plain, [[]]), prompt).body, prompt);
    assert.equal(JSON.parse(filled(made(text, [[]]), prompt).body), prompt);
    assert.deepEqual([...new URLSearchParams(filled(made(form, [["q"]]), prompt).body)], [["a", "1"], ["q", prompt], ["q", "2"], ["b", "  "]]);
    const { wrapped } = JSON.parse(filled(made(deep, [["wrapped", "deeper", "text"]]), prompt).body);
    assert.deepEqual(JSON.parse(JSON.parse(wrapped).deeper), { text: prompt, n: 1 });
  }
});

test("a single surrogate in a prompt cannot break a body", () => {
  assert.equal(JSON.parse(filled(made(notes(), [["question"]]), "a\ud83d").body).question, "a\ufffd");
  assert.equal(decodeURIComponent(filled(made(gemini(), [["f.req", 1, 0, 0]]), "\udc00").body).includes("\ufffd"), true);
});

test("an unclear send is not learned", () => {
  const fault = (send, places) => makeTemplate(send, places, NOW).fault;
  assert.match(fault(notes(), []), /not clear/);
  assert.match(fault(notes(), [["elsewhere"]]), /not clear/);
  assert.match(fault(notes({ question: 7 }), [["question"]]), /not clear/);
  assert.match(fault(notes({ question: "yes", flag: "yes" }), [["question"], ["flag"]]), /not clear/);
  assert.match(fault({ ...notes(), headers: [{ name: "content-type", value: "application/x-www-form-urlencoded" }], body: "a=%zz&q=x" }, [["q"]]), /cannot be parsed/);
  assert.match(fault(notes({ deep: JSON.parse("[".repeat(200) + "]".repeat(200)) }), [["question"]]), /cannot be parsed/);
  const twice = made(notes({ title: PROMPT }), [["question"], ["title"]]);
  assert.deepEqual(JSON.parse(filled(twice, "n").body), { question: "n", model: "small", title: "n" });
});

test("a template is bounded, without its prompt", () => {
  const fault = (send) => makeTemplate(send, [["question"]], NOW).fault;
  assert.equal(fault(notes({ question: "x".repeat(2 * BODY_CHARS_MAX) })), undefined);
  assert.match(fault(notes({ history: "x".repeat(BODY_CHARS_MAX) })), /too long/);
  assert.match(fault({ ...notes(), url: `https://notes.example/${"x".repeat(URL_CHARS_MAX)}` }), /too long/);
  const many = [...Array(100).keys()].map((i) => ({ name: `app-${i}`, value: "v" }));
  const { headers } = made({ ...notes(), headers: [{ name: "app-large", value: "x".repeat(2_000) }, ...many] }, [["question"]]);
  assert.deepEqual([Object.keys(headers).length, headers["app-large"]], [32, undefined]);
});

test("the shape depends on paths and types, not on values", () => {
  const shape = (more) => ofChatgpt(more).shape;
  assert.equal(shape({ model: "other", conversation_id: PARENT_ID }), shape());
  for (const more of [{ model: 7 }, { added: "x" }, { conversation_id: undefined }]) assert.notEqual(shape(more), shape(), JSON.stringify(more));
  const elsewhere = made({ ...notes(), url: "https://notes.example:8443/api/ask" }, [["question"]]);
  assert.notEqual(elsewhere.shape, made(notes(), [["question"]]).shape);
  const history = (count) => made(notes({ history: Array(count).fill({ text: "old" }) }), [["question"]]).shape;
  assert.equal(history(1), history(5));
});

test("a secret in a body or address is recognized; model names and plain words are not secrets", () => {
  const holds = (more, url = notes().url) => made({ ...notes(more), url }, [["question"]]).holds_secret;
  for (const more of [{ csrfToken: "abcdefghijkl" }, { t: "eyJhbGciOi.x" }, { x: "Ab3".repeat(10) }, { nested: JSON.stringify({ api_key: "123456789012" }) }, { token: "short" }, { session: 4711 }, { at: "now" }]) assert.equal(holds(more), true, JSON.stringify(more));
  assert.equal(holds({}, `${notes().url}?f.sid=-1234567890123`), true);
  assert.equal(holds({}, `https://notes.example/${"Ab3".repeat(10)}/ask`), true);
  assert.equal(holds({}, `https://notes.example/${MESSAGE_ID}/auth/ask`), false);
  for (const more of [{ model: "claude-3-5-sonnet-20241022" }, { id: MESSAGE_ID }, { author: "user" }, { authors: 2 }, { max_tokens: 4096 }, { token: "" }, { text: "a long text of words" }, { session_name: "my own session" }]) assert.equal(holds(more), false, JSON.stringify(more));
});

test("a request with a login field is never a template", () => {
  const fault = (more, url = notes().url) => makeTemplate({ ...notes(more), url }, [["question"]], NOW).fault;
  const names = ["password", "newPassword", "passwd", "user_pass", "PIN", "pinCode", "otp", "totp_code", "clientSecret", "user[pwd]", "passphrase", "credentials"];
  for (const name of names) {
    for (const value of ["x", "", 1234, ["x"], { value: "x" }]) assert.match(fault({ [name]: value }) ?? "", /password/, name);
    assert.match(fault({}, `${notes().url}?${encodeURIComponent(name)}=x`) ?? "", /password/, name);
  }
  assert.match(fault({ wrapped: JSON.stringify({ deep: { password: "x" } }) }) ?? "", /password/);
  const form = { ...notes(), headers: [{ name: "content-type", value: "application/x-www-form-urlencoded" }], body: "user=bob&password=x" };
  assert.match(makeTemplate(form, [["user"]], NOW).fault ?? "", /password/);
  for (const name of ["pinned", "is_pinned", "spinner", "bypass", "compass", "options", "passage"]) assert.equal(fault({ [name]: "x" }), undefined, name);
});

test("the content of the prompt does not matter", () => {
  const asJson = made(notes({ question: '{"password":"x","token":"y"}' }), [["question"]]);
  assert.deepEqual([asJson.shape, asJson.holds_secret], [made(notes(), [["question"]]).shape, false]);
});

test("only valid templates are read from the storage", () => {
  const template = JSON.parse(JSON.stringify(ofChatgpt()));
  assert.equal(isTemplate(template), true);
  for (const bad of [null, 7, {}, { ...template, body: ["x"] }, { ...template, body: [{ slot: "prompt", coding: ["other"] }] }, { ...template, body: [...template.body, { slot: "now", clock: "toString", coding: [] }] }, { ...template, url: 7 }, { ...template, headers: null }]) assert.equal(isTemplate(bad), false);
});

test("the path of the prompt is known for sends of ChatGPT and Gemini only", () => {
  const body = JSON.parse(chatgpt().body);
  const place = (more) => chat.promptPlace(JSON.stringify({ ...body, ...more }));
  assert.deepEqual(place(), ["messages", 0, "content", "parts", 0]);
  const image = { author: { role: "user" }, content: { parts: [{ asset: 1 }, "text", ""] } };
  assert.deepEqual(place({ messages: [...body.messages, image, { author: { role: "tool" } }] }), ["messages", 1, "content", "parts", 1]);
  for (const more of [{ action: "variant" }, { messages: [] }, { messages: undefined }, { messages: [{ author: { role: "user" }, content: { parts: [" "] } }] }, { messages: [null] }]) assert.equal(place(more), null, JSON.stringify(more));
  assert.equal(chat.promptPlace("no JSON"), null);
  assert.deepEqual(gem.promptPlace(gemini().body), ["f.req", 1, 0, 0]);
  for (const request of ["", "f.req=x", "f.req=[1,2]", `f.req=${encodeURIComponent('[null,"[]"]')}`, `f.req=${encodeURIComponent('[null,"[[\\"\\"]]"]')}`]) assert.equal(gem.promptPlace(request), null, request);
});
