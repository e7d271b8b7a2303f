import assert from "node:assert/strict";
import test, { beforeEach } from "node:test";
import { BACKOFF_MAX_MS, BACKOFF_MIN_MS, DOUBT_MAX_MS, GREETING_MAX_MS, Link, PARTING_MAX_MS, probe, PROBE_MAX_MS } from "../background/link.js";
import { QUEUE_FRAMES_MAX, SOCKET_BYTES_HIGH } from "../background/outbox.js";
import { hello } from "../wire.js";
import { CLAUDE, Clock, FakeSocket, settled } from "./support/fakes.js";

const ADDRESS = "ws://127.0.0.1:4317/ws/firefox";
const ACK = { type: "hello_ack", client_id: "firefox-1", connection_id: "c", heartbeat_ms: 15_000, platforms: [CLAUDE] };

beforeEach(() => (FakeSocket.all = []));

function make({ random = () => 1, probe = async () => true } = {}) {
  const clock = new Clock();
  const told = { greeted: 0, lost: 0, frames: [], states: [], offset: 0 };
  const link = new Link(
    { ...clock, now: () => clock.at + told.offset, WebSocket: FakeSocket, random, probe, hello: () => hello({ client_id: "firefox-1" }) },
    {
      state: () => {
        told.states.push(link.state);
        assert.ok(FakeSocket.open.length <= 1, "never two sockets");
      },
      greeted: () => (told.greeted += 1),
      frame: (frame) => told.frames.push(frame.body?.text ?? frame.type),
      lost: () => (told.lost += 1),
      log: () => {},
    },
  );
  return { clock, link, told };
}

function greet() {
  FakeSocket.last.accept();
  FakeSocket.last.say(ACK);
}

test("it says hello first and is connected with the acknowledgement", () => {
  const { link, told } = make();
  link.start(ADDRESS);
  assert.equal(link.send("{}"), false);
  FakeSocket.last.accept();
  assert.deepEqual(FakeSocket.last.types(), ["hello"]);
  FakeSocket.last.say({ type: "state_snapshot", reason: "hello", snapshot: {} });
  assert.deepEqual(told.frames, [], "nothing counts before the greeting");
  FakeSocket.last.say(ACK);
  assert.deepEqual([link.state, told.greeted, link.send('{"type":"x"}')], ["connected", 1, true]);
});

test("the pauses grow from 250 ms to 15 s, with jitter over the whole of it", async () => {
  for (const [random, wanted] of [
    [() => 0, [250, 250, 250, 250, 250, 250, 250, 250]],
    [() => 1, [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]],
  ]) {
    FakeSocket.all = [];
    const { clock, link } = make({ random });
    link.start(ADDRESS);
    for (const pause of wanted) {
      assert.ok(pause >= BACKOFF_MIN_MS && pause <= BACKOFF_MAX_MS);
      const dialled = FakeSocket.all.length;
      FakeSocket.last.fail();
      assert.equal(link.state, "waiting");
      await clock.pass(pause - 1);
      assert.equal(FakeSocket.all.length, dialled);
      await clock.pass(1);
      assert.equal(FakeSocket.all.length, dialled + 1);
    }
  }
});

test("days without a daemon cost one try in 15 s and no memory, and a greeting makes the pauses short again", async () => {
  const { clock, link } = make();
  link.start(ADDRESS);
  for (let i = 0; i < 1_000; i += 1) {
    FakeSocket.last.fail();
    await clock.pass(15_000);
  }
  assert.ok(FakeSocket.all.length <= 1_010);
  assert.equal(link.unsent, 0);
  greet();
  FakeSocket.last.fail();
  const before = FakeSocket.all.length;
  await clock.pass(500);
  assert.equal(FakeSocket.all.length, before + 1);
});

test("never two sockets: not by reconnecting, waking, starting again or late events of an old one", async () => {
  const { clock, link, told } = make();
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
  await clock.pass(GREETING_MAX_MS + 60_000);
  assert.ok(FakeSocket.open.length <= 1);
  assert.equal(told.lost, 2);
});

test("the network's return ends the pause at once", async () => {
  const { link } = make();
  link.start(ADDRESS);
  FakeSocket.last.fail();
  assert.equal(FakeSocket.open.length, 0);
  link.wake("online");
  await settled();
  assert.equal(FakeSocket.open.length, 1);
});

test("after a sleep of the machine it dials anew", async () => {
  const { clock, link } = make();
  link.start(ADDRESS);
  greet();
  const before = FakeSocket.last;
  await clock.pass(10_000);
  assert.equal(FakeSocket.last, before);
  clock.at += 20_000; // shorter than what would pass for silence
  await clock.pass(2_000);
  assert.equal(before.types().at(-1), "state_request");
  await clock.pass(DOUBT_MAX_MS);
  assert.notEqual(FakeSocket.last, before);
  assert.equal(before.readyState, 3);
});

test("a clock that is set, or a program that was held up, costs no connection", async () => {
  const { clock, link, told } = make();
  link.start(ADDRESS);
  greet();
  const socket = FakeSocket.last;
  for (const jump of [20_000, 3_600_000, -3_600_000, -20_000]) {
    const asked = socket.types().length;
    told.offset += jump;
    await clock.pass(2_000);
    assert.ok(socket.types().slice(asked).includes("state_request"), `${jump}`);
    socket.say({ type: "state_snapshot", reason: "state_request", snapshot: {} });
    await clock.pass(2 * DOUBT_MAX_MS);
    socket.say({ type: "state_snapshot", reason: "state_request", snapshot: {} });
    assert.deepEqual([FakeSocket.last, link.state, told.lost], [socket, "connected", 0], `${jump}`);
  }
});

test("a silent daemon is asked, and given up after three intervals; one that answers is kept", async () => {
  const { clock, link, told } = make();
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

test("a daemon that does not greet is given up", async () => {
  const { clock, link } = make();
  link.start(ADDRESS);
  FakeSocket.last.accept();
  const socket = FakeSocket.last;
  await clock.pass(GREETING_MAX_MS);
  assert.equal(socket.closed.code, 4002);
  assert.notEqual(link.state, "greeting");
});

test("a refusal stops the hammering and says why", async () => {
  for (const code of [4001, 4003, 4005]) {
    FakeSocket.all = [];
    const { clock, link } = make({ random: () => 0 });
    link.start(ADDRESS);
    FakeSocket.last.accept();
    FakeSocket.last.fail(code);
    assert.match(link.note, /took over|refused|another version/);
    await clock.pass(200_000);
    assert.equal(FakeSocket.all.length, 1, `${code}`);
    await clock.pass(30_000);
    assert.equal(FakeSocket.all.length, 2, `${code}`);
  }
});

test("pairing shows the code and waits for longer than a greeting may take", async () => {
  const { clock, link } = make();
  link.start(ADDRESS);
  FakeSocket.last.accept();
  FakeSocket.last.say({ type: "pairing_required", code: "123456" });
  assert.deepEqual([link.state, link.code], ["pairing", "123456"]);
  await clock.pass(60_000);
  assert.equal(link.state, "pairing");
  FakeSocket.last.say(ACK);
  assert.deepEqual([link.state, link.code], ["connected", null]);
});

test("what waits is bounded, kept in order, and sent when the socket has room", async () => {
  const { clock, link } = make();
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

test("a few large frames fill the queue as well, and a lost connection empties it", async () => {
  const { link } = make();
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

test("each greeted connection is another one", () => {
  const { link } = make();
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

test("stopped is idle", async () => {
  const { clock, link } = make();
  link.start(ADDRESS);
  greet();
  link.stop();
  await clock.pass(100_000);
  assert.deepEqual([link.state, FakeSocket.open.length], ["idle", 0]);
});

test("what waited for something is not done once its connection has ended, be there another one or not", async () => {
  const { clock, link } = make({ random: () => 0 });
  link.start(ADDRESS);
  greet();
  const done = [];
  let ready;
  const later = new Promise((resolve) => (ready = resolve));
  void link.still(later, () => done.push("of the first"));
  FakeSocket.last.fail();
  await clock.pass(250);
  greet();
  void link.still(later, () => done.push("of the second"));
  ready();
  await settled();
  assert.deepEqual(done, ["of the second"]);
  void link.still(new Promise((resolve) => clock.setTimeout(resolve, 10)), () => done.push("of none"));
  FakeSocket.last.fail();
  await clock.pass(10);
  assert.deepEqual(done, ["of the second"]);
});

test("after a failure it dials only where something answers: no socket is spent on a daemon that is away", async () => {
  let there = false;
  let looks = 0;
  const { clock, link, told } = make({
    probe: async () => {
      looks += 1;
      return there;
    },
  });
  link.start(ADDRESS);
  assert.deepEqual([FakeSocket.all.length, looks], [1, 0]);
  FakeSocket.last.fail();
  await clock.pass(24 * 3_600_000);
  assert.equal(FakeSocket.all.length, 1);
  assert.ok(looks >= 5_760 && looks < 5_800, `${looks}`);
  assert.deepEqual([link.state, link.note, told.states], ["waiting", "The daemon is not there.", ["connecting", "waiting"]]);
  there = true;
  const since = clock.at;
  while (FakeSocket.all.length === 1) await clock.pass(100);
  assert.ok(clock.at - since <= BACKOFF_MAX_MS);
  assert.equal(link.state, "connecting");
  greet();
  assert.equal(link.state, "connected");
});

test("a look that is under way is not doubled, and counts for nothing once all is begun anew", async () => {
  const looks = [];
  const { clock, link } = make({ probe: () => new Promise((resolve) => looks.push(resolve)) });
  link.start(ADDRESS);
  FakeSocket.last.fail();
  link.wake("online");
  link.wake("online");
  await clock.pass(60_000);
  assert.deepEqual([looks.length, FakeSocket.all.length], [1, 1]);
  link.start("ws://127.0.0.1:9/ws/firefox");
  assert.equal(FakeSocket.all.length, 2);
  looks[0](true);
  await settled();
  assert.equal(FakeSocket.all.length, 2);
  FakeSocket.last.fail();
  link.wake("online");
  link.stop();
  looks[1](true);
  await clock.pass(60_000);
  assert.deepEqual([FakeSocket.all.length, link.state], [2, "idle"]);
});

test("the words say what is true", async () => {
  const { clock, link } = make({ random: () => 0 });
  link.start(ADDRESS);
  FakeSocket.last.fail();
  assert.equal(link.note, "The daemon is not there.");
  await clock.pass(250);
  FakeSocket.last.fail();
  assert.equal(link.note, "Something answers at the daemon's address, but takes no connection.");
  await clock.pass(250 + GREETING_MAX_MS);
  assert.equal(link.note, "The connection did not open in time.");
  await clock.pass(250);
  greet();
  FakeSocket.last.fail();
  assert.equal(link.note, "The connection was lost.");
});

test("the look for the daemon: any answer will do, none in time will not", async () => {
  const clock = new Clock();
  const asked = [];
  const answers = (fetch) => probe(ADDRESS, { ...clock, fetch });
  assert.equal(await answers(async (url, { mode }) => asked.push([url, mode])), true);
  assert.deepEqual(asked, [["http://127.0.0.1:4317/health", "no-cors"]]);
  assert.equal(await answers(() => Promise.reject(new TypeError("refused"))), false);
  const silent = answers((url, { signal }) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))));
  await clock.pass(PROBE_MAX_MS);
  assert.equal(await silent, false);
  assert.equal(clock.next, Infinity);
});

test("a connection that is closed on purpose sends first what waits, but not for ever", async () => {
  for (const reads of [true, false]) {
    FakeSocket.all = [];
    const { clock, link, told } = make();
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
      await clock.pass(PARTING_MAX_MS - 101);
      assert.equal(socket.closed, null);
      await clock.pass(1);
    }
    assert.deepEqual([FakeSocket.all.length, socket.closed, told.lost], [2, { code: 1000, reason: "reconnect" }, 1]);
    greet();
    await clock.pass(2 * PARTING_MAX_MS);
    assert.deepEqual([FakeSocket.all.length, link.state], [2, "connected"]);
  }
});

test("a connection that is lost while it is to be closed is dialled as any other", async () => {
  const { clock, link } = make();
  link.start(ADDRESS);
  greet();
  FakeSocket.last.bufferedAmount = SOCKET_BYTES_HIGH;
  link.reconnect("asked");
  FakeSocket.last.fail();
  await clock.pass(BACKOFF_MAX_MS / 3);
  assert.equal(FakeSocket.all.length, 2);
});

test("the body of a request is handed on as it came", () => {
  const { link, told } = make();
  link.start(ADDRESS);
  greet();
  FakeSocket.last.say('{"type":"api_request","id":"r","platform":"claude","body":{"n":12345678901234567890}}');
  assert.deepEqual(told.frames, ['{"n":12345678901234567890}']);
});
