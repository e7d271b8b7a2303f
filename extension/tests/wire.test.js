import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import test from "node:test";
import * as wire from "../wire.js";

const folder = (name) => new URL(`../../tests/fixtures/wire/${name}/`, import.meta.url);
const files = (name) => readdirSync(folder(name)).sort();
const golden = (name, file) => JSON.parse(readFileSync(new URL(file, folder(name)), "utf8"));
const camel = (type) => type.replace("browser.", "").replace(/_(\w)/g, (_, letter) => letter.toUpperCase());

/** The functions take bodies and events as text, as the page sends them. */
function fields({ type, body, data, ...rest }) {
  if (type === "api_response") return { ...rest, text: JSON.stringify(body) };
  if (type === "stream_event") return { ...rest, data: JSON.stringify(data) };
  return rest;
}

for (const file of files("inbound")) {
  test(`outbound frames match the golden ones: ${file}`, () => {
    const wanted = golden("inbound", file);
    const make = wire[camel(wanted.type)];
    assert.deepEqual(JSON.parse(make(fields(wanted))), wanted);
  });
}

for (const file of files("outbound")) {
  test(`inbound frames are read: ${file}`, () => {
    const wanted = golden("outbound", file);
    assert.deepEqual(wire.read(JSON.stringify(wanted)), { frame: wanted });
  });
}

test("exactly the types of the protocol are read", () => {
  const types = files("outbound").map((file) => file.replace(".json", ""));
  assert.deepEqual([...wire.INBOUND].sort(), types);
  assert.deepEqual(wire.read('{"type":"of_tomorrow","x":1}'), { ignored: "of_tomorrow" });
  assert.deepEqual(wire.read('{"type":"constructor"}'), { ignored: "constructor" });
});

test("a frame with a missing or invalid field is a fault", () => {
  const broken = ["", "[]", "null", "{}", '{"type":7}', '{"type":"api_request","id":7,"platform":"claude"}',
    '{"type":"hello_ack","client_id":"a","connection_id":"b"}', '{"type":"api_request","id":"a","platform":"b","headers":{"x":1}}',
    '{"type":"hello_ack","client_id":"a","connection_id":"b","platforms":[{"platform":"x"}]}',
    '{"type":"hello_ack","client_id":"a","connection_id":"b","platforms":[{"platform":"x","shell_url":"https://x.example/","hosts":["x.example"],"answer_hosts":[7]}]}',
    '{"type":"hello_ack","client_id":"a","connection_id":"b","platforms":[{"platform":"x","shell_url":"https://x.example/","hosts":["x.example"],"credential_paths":"/x"}]}',
    '{"type":"pairing_required","code":"12345"}', '{"type":"pairing_required","code":"1; rm -rf ~"}', '{"type":"pairing_required","code":"123456\\n"}',
    '{"type":"pairing_required","code":"١٢٣٤٥٦"}', '{"type":"pairing_required","code":123456}', '{"type":"error","code":"Run curl evil.example"}'];
  for (const text of broken) assert.equal(typeof wire.read(text).fault, "string", text);
});

test("numbers and escapes are passed on unchanged", () => {
  const data = '{"n":12345678901234567890,"f":1.0,"s":"\\u00e9"}';
  const event = wire.streamEvent({ id: "a", stream_id: "a", seq: 1, event: "e", data, raw: `data: ${data}` });
  assert.ok(event.startsWith('{"type":"stream_event",'), "the daemon's quick reading knows this beginning");
  assert.ok(event.endsWith(`"data":${data}}`));
  assert.ok(wire.apiResponse({ id: "a", ok: true, status: 200, text: data }).endsWith(`"body":${data}}`));
});

test("other text, and JSON too deep for the daemon, is sent as a string", () => {
  assert.equal(wire.jsonOrString("[DONE]"), '"[DONE]"');
  assert.equal(wire.jsonOrString('{"a":1} '), '{"a":1} ');
  const deep = "[".repeat(121) + "]".repeat(121);
  assert.equal(wire.jsonOrString(deep), JSON.stringify(deep));
  const fits = `${"[".repeat(120)}"[[[\\"[[["${"]".repeat(120)}`;
  assert.equal(wire.jsonOrString(fits), fits);
  assert.equal(JSON.parse(wire.apiResponse({ id: "a", ok: true, status: 204, text: "" })).body, null);
});
