import assert from "node:assert/strict";
import test from "node:test";
import { JsonText, memberText, withRawBody } from "../background/body.js";
import { numbers } from "./support/fixtures.js";

const came = (source) => {
  const { body } = withRawBody(JSON.parse(source), source);
  return body instanceof JsonText ? body.text : body;
};

test("a body keeps its digits, its spaces and the order of its fields", () => {
  for (const body of ["12345678901234567890", "1.10", "-0", "1e400", '{"b": 12345678901234567890, "2":1, "1":[1.0, {"body":7}]}', "[ ]", "[0.1000]"]) {
    for (const source of [`{"type":"x","body":${body}}`, `{"body" : ${body} ,"type":"x"}`, `{"a":{"body":1},"b":["body",":",{}],"body":${body}, "c":"}{"}`]) {
      assert.equal(came(source), body, source);
    }
  }
});

test("strings, null and booleans stay as they are", () => {
  for (const body of ["text", "12", null, true, false]) assert.equal(came(JSON.stringify({ type: "x", body, a: 1 })), body);
  assert.equal(came('{"type":"x"}'), undefined);
});

test("a member is found by its decoded name, and the last duplicate counts", () => {
  assert.equal(memberText(String.raw`{"b\u006fdy":1.0}`, "body"), "1.0");
  assert.equal(memberText('{"body":[1.0],"x":2,"body":[2.0]}', "body"), "[2.0]");
  assert.equal(memberText(String.raw`{"\\":"\\","a\"":"\"body\":3","body":4.0}`, "body"), "4.0");
  assert.equal(memberText("{}", "body"), undefined);
  assert.equal(memberText('{"a":"body"}', "body"), undefined);
});

test("the text parses to the same value as the frame", () => {
  const next = numbers(7);
  const any = (depth) => {
    const kind = Math.floor(next() * (depth > 3 ? 3 : 5));
    if (kind === 0) return Math.floor(next() * 1e6) / 100;
    if (kind === 1) return ['"', "\\", "{", "}", "[", "]", ":", ",", "body", "\\\"", "é😀"].filter(() => next() < 0.4).join("");
    if (kind === 2) return [null, true, false][Math.floor(next() * 3)];
    const list = Array.from({ length: Math.floor(next() * 4) }, () => any(depth + 1));
    return kind === 3 ? list : Object.fromEntries(list.map((value) => [["body", "a", '"', "\\", "}"][Math.floor(next() * 5)], value]));
  };
  for (let i = 0; i < 3_000; i += 1) {
    const frame = { a: any(0), body: any(0), "}": any(0) };
    const source = JSON.stringify(frame, null, i % 3);
    assert.deepEqual(JSON.parse(memberText(source, "body")), frame.body, source);
  }
});
