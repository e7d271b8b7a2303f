import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test, { beforeEach } from "node:test";
import { refusalOf } from "../background/backoff.js";
import { FALSE_DAEMON, Pairing, UNKNOWN_HERE } from "../background/pairing.js";
import { FakeSocket, settled } from "./support/fakes.js";
import { ACK, ADDRESS, makeLink } from "./support/link.js";
import { Storage } from "./support/storage.js";

const golden = JSON.parse(readFileSync(new URL("../../tests/fixtures/proof.json", import.meta.url), "utf8"));
const { secret } = golden;
const CHALLENGE = { type: "challenge", nonce: golden.server_nonce, proof: golden.server_proof };
const PAIRED = { [ADDRESS]: { secret, paired_at: 5 } };

beforeEach(() => (FakeSocket.all = []));

/** Pairings as they were kept, with a value for each connection. */
async function pairings(kept = {}) {
  const storage = new Storage();
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

/** How long anything may take before a test gives up on it. */
const PATIENCE_MS = 15_000;

/** Waits until a condition holds; the browser's cryptography takes its own time. */
async function until(holds) {
  const giveUp = Date.now() + PATIENCE_MS;
  while (!holds()) {
    assert.ok(Date.now() < giveUp, `not within ${PATIENCE_MS} ms: ${holds}`);
    await settled();
  }
}

/** A link that has said hello to a daemon. */
async function greeting(kept) {
  const all = await pairings(kept);
  const made = makeLink({ pairing: all.pairing, random: () => 0 });
  made.link.start(ADDRESS);
  FakeSocket.last.accept();
  return { ...all, ...made, socket: FakeSocket.last };
}

test("the daemon's proof is checked and ours given, as the daemon's own tests have them", async () => {
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

test("an approval brings the secret, which is kept", async () => {
  const { link, socket, storage, pairing } = await greeting();
  socket.say({ type: "pairing_required", code: "123456" });
  assert.deepEqual([link.state, link.code], ["pairing", "123456"]);
  socket.say({ type: "pairing_required", code: "654321" });
  assert.equal(link.code, "654321", "an old code is replaced");
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
  test(`a false daemon is recognised: it ${how}`, async () => {
    const { link, socket, storage, told, clock } = await greeting(PAIRED);
    socket.say(frame);
    await until(() => link.state === "waiting");
    assert.equal(link.note, frame.type === "pairing_required" ? UNKNOWN_HERE : FALSE_DAEMON);
    assert.match(link.note, /press Forget pairing/);
    assert.deepEqual([socket.types(), socket.closed.code, told.greeted, link.code], [["hello"], 4003, 0, null]);
    assert.deepEqual([storage.kept.pairings, storage.writes], [PAIRED, 0], "and nothing is forgotten");
    await clock.pass(200_000);
    assert.equal(FakeSocket.all.length, 1, "nor is it asked again soon");
  });
}

test("a greeting that does not wait for the proof to be checked is not believed", async () => {
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

test("a proof of one connection is worth nothing on the next", async () => {
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

test("a daemon that proved itself on one connection has to do so on the next", async () => {
  const { link, socket } = await greeting(PAIRED);
  socket.say(CHALLENGE);
  await until(() => socket.sent.length > 1);
  socket.say(ACK);
  link.reconnect("asked");
  FakeSocket.last.accept();
  FakeSocket.last.say(ACK);
  assert.deepEqual([link.state, link.note], ["waiting", FALSE_DAEMON]);
});

test("a daemon that moved to another port is the same, and is known there from then on", async () => {
  const { socket, storage } = await greeting({ "ws://127.0.0.1:9/ws/firefox": { secret, paired_at: 3 } });
  socket.say(CHALLENGE);
  await until(() => socket.sent.length > 1 && storage.writes > 0);
  assert.equal(JSON.parse(socket.sent[1]).proof, golden.client_proof);
  assert.deepEqual(storage.kept.pairings[ADDRESS], { secret, paired_at: 3 });
});

test("who lost its secret is told how to be paired anew", async () => {
  const { link, socket } = await greeting();
  socket.say(CHALLENGE);
  await until(() => link.state === "waiting");
  assert.match(link.note, /baa-conductor pairings forget firefox-1/);
});

test("a pairing is forgotten when that is asked for, wherever the daemon was seen", async () => {
  const other = { secret: "f".repeat(64), paired_at: 1 };
  const { pairing, storage } = await pairings({ ...PAIRED, "ws://127.0.0.1:9/ws/firefox": PAIRED[ADDRESS], "ws://127.0.0.1:8/": other });
  await pairing.forget(ADDRESS);
  assert.deepEqual(storage.kept.pairings, { "ws://127.0.0.1:8/": other });
  assert.equal(pairing.since(ADDRESS), null);
  pairing.begin(ADDRESS);
  assert.deepEqual([pairing.asked(), pairing.greeted(ACK)], [undefined, undefined]);
});

test("a secret that cannot be stored is said so, and holds until Firefox ends", async () => {
  const { pairing, storage, log } = await pairings();
  storage.failsToWrite = true;
  pairing.begin(ADDRESS);
  pairing.greeted({ ...ACK, client_secret: secret });
  await until(() => log.length > 1);
  assert.match(log[1], /^error The pairing could not be stored/);
  assert.equal(pairing.since(ADDRESS), 5);
});

test("what is stored and is no pairing is passed over", async () => {
  const { pairing } = await pairings({ a: { secret: 7, paired_at: 1 }, b: null, c: { secret: "x" }, d: { secret: "x", paired_at: 1 } });
  assert.deepEqual(["a", "b", "c", "d"].map((address) => pairing.since(address)), [null, null, null, 1]);
});

test("a refusal says what it means where it comes, and what to do", () => {
  assert.match(refusalOf(4003, "pairing"), /not approved.*Reconnect/);
  assert.match(refusalOf(4003, "connected"), /forgot this Firefox.*Forget pairing/);
  assert.match(refusalOf(4003, "greeting"), /refused.*pairings forget/);
  assert.equal(refusalOf(1006, "greeting"), undefined);
});
