import assert from "node:assert/strict";
import test, { beforeEach } from "node:test";
import { BACKOFF_MAX_MS } from "../background/backoff.js";
import { RECHECK_MAX_MS, HELLO_MAX_MS, FLUSH_MAX_MS } from "../background/link.js";
import { QUEUE_FRAMES_MAX, SOCKET_BYTES_HIGH } from "../background/outbox.js";
import { FakeSocket, settled } from "./support/fakes.js";
import { ACK, ADDRESS, greet, makeLink } from "./support/link.js";

beforeEach(() => (FakeSocket.all = []));

test("hello is sent first, and hello_ack connects", () => {
  const { link, told } = makeLink();
  link.start(ADDRESS);
  assert.equal(link.send("{}"), false);
  FakeSocket.last.accept();
  assert.deepEqual(FakeSocket.last.types(), ["hello"]);
  FakeSocket.last.say({ type: "state_snapshot", reason: "hello", snapshot: {} });
  assert.deepEqual(told.frames, [], "nothing counts before the greeting");
  FakeSocket.last.say(ACK);
  assert.deepEqual([link.state, told.connected, link.send('{"type":"x"}')], ["connected", 1, true]);
});

test("there is never a second socket, by reconnect, wake, start or late events of an old one", async () => {
  const { clock, link, told } = makeLink();
  link.start(ADDRESS);
  const first = FakeSocket.last;
  link.start(ADDRESS);
  link.wake("online");
  assert.equal(FakeSocket.all.length, 1);
  greet();
  link.reconnect("asked");
  assert.deepEqual(first.closed, { code: 1000, reason: "reconnect" });
  assert.equal(FakeSocket.open.length, 1);
  first.fail(1000);
  first.say(ACK);
  assert.notEqual(link.state, "connected");
  greet();
  link.start("ws://127.0.0.1:9/ws/firefox");
  assert.equal(FakeSocket.open.length, 1);
  assert.equal(FakeSocket.last.url, "ws://127.0.0.1:9/ws/firefox");
  await clock.pass(HELLO_MAX_MS + 60_000);
  assert.ok(FakeSocket.open.length <= 1);
  assert.equal(told.lost, 2);
});

test("after a sleep of the machine the link connects again", async () => {
  const { clock, link } = makeLink();
  link.start(ADDRESS);
  greet();
  const before = FakeSocket.last;
  await clock.pass(10_000);
  assert.equal(FakeSocket.last, before);
  clock.at += 20_000; // shorter than the silence that ends a connection
  await clock.pass(2_000);
  assert.equal(before.types().at(-1), "state_request");
  await clock.pass(RECHECK_MAX_MS);
  assert.notEqual(FakeSocket.last, before);
  assert.equal(before.readyState, 3);
});

test("a change of the clock or a suspended program does not end the connection", async () => {
  const { clock, link, told } = makeLink();
  link.start(ADDRESS);
  greet();
  const socket = FakeSocket.last;
  for (const jump of [20_000, 3_600_000, -3_600_000, -20_000]) {
    const asked = socket.types().length;
    told.offset += jump;
    await clock.pass(2_000);
    assert.ok(socket.types().slice(asked).includes("state_request"), `${jump}`);
    socket.say({ type: "state_snapshot", reason: "state_request", snapshot: {} });
    await clock.pass(2 * RECHECK_MAX_MS);
    socket.say({ type: "state_snapshot", reason: "state_request", snapshot: {} });
    assert.deepEqual([FakeSocket.last, link.state, told.lost], [socket, "connected", 0], `${jump}`);
  }
});

test("a silent daemon is asked for its state, and given up after three intervals without an answer", async () => {
  const { clock, link, told } = makeLink();
  link.start(ADDRESS);
  greet();
  const socket = FakeSocket.last;
  for (let i = 0; i < 4; i += 1) {
    await clock.pass(17_000);
    assert.equal(socket.types().filter((type) => type === "state_request").length, i + 1);
    socket.say({ type: "state_snapshot", reason: "state_request", snapshot: {} });
  }
  assert.equal(link.state, "connected");
  await clock.pass(44_000);
  assert.equal(link.state, "connected");
  await clock.pass(3_000);
  assert.equal(socket.closed.code, 4004);
  assert.equal(told.lost, 1);
});

test("a daemon without hello_ack is given up", async () => {
  const { clock, link } = makeLink();
  link.start(ADDRESS);
  FakeSocket.last.accept();
  const socket = FakeSocket.last;
  await clock.pass(HELLO_MAX_MS);
  assert.equal(socket.closed.code, 4002);
  assert.notEqual(link.state, "hello");
});

test("pairing shows the code and has no time limit", async () => {
  const { clock, link } = makeLink();
  link.start(ADDRESS);
  FakeSocket.last.accept();
  FakeSocket.last.say({ type: "pairing_required", code: "123456" });
  assert.deepEqual([link.state, link.code], ["pairing", "123456"]);
  await clock.pass(60_000);
  assert.equal(link.state, "pairing");
  FakeSocket.last.say(ACK);
  assert.deepEqual([link.state, link.code], ["connected", null]);
});

test("the queue is bounded, in order, and sent when the socket has room", async () => {
  const { clock, link } = makeLink();
  link.start(ADDRESS);
  greet();
  const socket = FakeSocket.last;
  socket.sent = [];
  socket.bufferedAmount = SOCKET_BYTES_HIGH;
  for (let i = 0; i < QUEUE_FRAMES_MAX; i += 1) assert.equal(link.send(`${i}`), true);
  assert.equal(link.send("one too many"), false);
  assert.equal(link.dropped, 1);
  let free = false;
  void link.room().then(() => (free = true));
  await clock.pass(50);
  assert.deepEqual([free, socket.sent.length], [false, 0]);
  socket.bufferedAmount = 0;
  await clock.pass(50);
  await settled();
  assert.equal(free, true);
  assert.deepEqual(socket.sent, Array.from({ length: QUEUE_FRAMES_MAX }, (_, i) => `${i}`));
  assert.equal(link.room(), undefined);
});

test("large frames fill the queue by their bytes, and a lost connection empties it", async () => {
  const { link } = makeLink();
  link.start(ADDRESS);
  greet();
  FakeSocket.last.bufferedAmount = SOCKET_BYTES_HIGH;
  const large = "x".repeat(16 << 20);
  assert.deepEqual([1, 2, 3, 4].map(() => link.send(large)), [true, true, true, false]);
  const room = link.room();
  FakeSocket.last.fail();
  await room;
  assert.equal(link.unsent, 0);
});

test("each connection has its own number", () => {
  const { link } = makeLink();
  assert.equal(link.connection, undefined);
  link.start(ADDRESS);
  assert.equal(link.connection, undefined);
  greet();
  const first = link.connection;
  assert.equal(link.connection, first);
  link.reconnect("asked");
  assert.equal(link.connection, undefined);
  greet();
  assert.ok(first !== undefined && link.connection !== undefined && link.connection !== first);
});

test("deferred work is dropped once its connection has ended", async () => {
  const { clock, link } = makeLink({ random: () => 0 });
  link.start(ADDRESS);
  greet();
  const done = [];
  let ready;
  const later = new Promise((resolve) => (ready = resolve));
  void link.ifStillConnected(later, () => done.push("of the first"));
  FakeSocket.last.fail();
  await clock.pass(250);
  greet();
  void link.ifStillConnected(later, () => done.push("of the second"));
  ready();
  await settled();
  assert.deepEqual(done, ["of the second"]);
  void link.ifStillConnected(new Promise((resolve) => clock.setTimeout(resolve, 10)), () => done.push("of none"));
  FakeSocket.last.fail();
  await clock.pass(10);
  assert.deepEqual(done, ["of the second"]);
});

test("a deliberate close first sends the queue, for a limited time", async () => {
  for (const reads of [true, false]) {
    FakeSocket.all = [];
    const { clock, link, told } = makeLink();
    link.start(ADDRESS);
    greet();
    const socket = FakeSocket.last;
    socket.bufferedAmount = SOCKET_BYTES_HIGH;
    link.send('{"type":"action_result"}');
    link.reconnect("asked");
    link.reconnect("asked again");
    await clock.pass(100);
    assert.deepEqual([FakeSocket.all.length, socket.closed], [1, null]);
    if (reads) {
      socket.bufferedAmount = 0;
      await clock.pass(10);
      assert.equal(socket.types().at(-1), "action_result");
    } else {
      await clock.pass(FLUSH_MAX_MS - 101);
      assert.equal(socket.closed, null);
      await clock.pass(1);
    }
    assert.deepEqual([FakeSocket.all.length, socket.closed, told.lost], [2, { code: 1000, reason: "reconnect" }, 1]);
    greet();
    await clock.pass(2 * FLUSH_MAX_MS);
    assert.deepEqual([FakeSocket.all.length, link.state], [2, "connected"]);
  }
});

test("a connection that is lost during a deliberate close is opened again", async () => {
  const { clock, link } = makeLink();
  link.start(ADDRESS);
  greet();
  FakeSocket.last.bufferedAmount = SOCKET_BYTES_HIGH;
  link.reconnect("asked");
  FakeSocket.last.fail();
  await clock.pass(BACKOFF_MAX_MS / 3);
  assert.equal(FakeSocket.all.length, 2);
});

test("the body of a request is passed on unchanged", () => {
  const { link, told } = makeLink();
  link.start(ADDRESS);
  greet();
  FakeSocket.last.say('{"type":"api_request","id":"r","platform":"claude","body":{"n":12345678901234567890}}');
  assert.deepEqual(told.frames, ['{"n":12345678901234567890}']);
});
