import assert from "node:assert/strict";
import test, { beforeEach } from "node:test";
import { BACKOFF_MAX_MS, BACKOFF_MIN_MS } from "../background/backoff.js";
import { HELLO_MAX_MS } from "../background/link.js";
import { FakeSocket, settled } from "./support/fakes.js";
import { ADDRESS, greet, makeLink } from "./support/link.js";

beforeEach(() => (FakeSocket.all = []));

test("the pauses grow from 250 ms to 15 s, with full jitter", async () => {
  for (const [random, wanted] of [
    [() => 0, [250, 250, 250, 250, 250, 250, 250, 250]],
    [() => 1, [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]],
  ]) {
    FakeSocket.all = [];
    const { clock, link } = makeLink({ random });
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

test("without a daemon there is one attempt per 15 s and no growth, and hello_ack resets the pauses", async () => {
  const { clock, link } = makeLink();
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

test("the network's return ends the pause at once", async () => {
  const { link } = makeLink();
  link.start(ADDRESS);
  FakeSocket.last.fail();
  assert.equal(FakeSocket.open.length, 0);
  link.wake("online");
  await settled();
  assert.equal(FakeSocket.open.length, 1);
});

test("a refusal makes the pause long and shows the reason", async () => {
  for (const code of [4001, 4003, 4005]) {
    FakeSocket.all = [];
    const { clock, link } = makeLink({ random: () => 0 });
    link.start(ADDRESS);
    FakeSocket.last.accept();
    FakeSocket.last.fail(code);
    assert.match(link.note, /replaced this one|refused|another version/);
    await clock.pass(200_000);
    assert.equal(FakeSocket.all.length, 1, `${code}`);
    await clock.pass(30_000);
    assert.equal(FakeSocket.all.length, 2, `${code}`);
  }
});

test("after a failure a socket is opened only if the probe is answered", async () => {
  let there = false;
  let looks = 0;
  const { clock, link, told } = makeLink({
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
  assert.deepEqual([link.state, link.note, told.states], ["waiting", "The daemon is not running at this address.", ["connecting", "waiting"]]);
  there = true;
  const since = clock.at;
  while (FakeSocket.all.length === 1) await clock.pass(100);
  assert.ok(clock.at - since <= BACKOFF_MAX_MS);
  assert.equal(link.state, "connecting");
  greet();
  assert.equal(link.state, "connected");
});

test("there is one probe at a time, and its result is ignored after a reconnect", async () => {
  const looks = [];
  const { clock, link } = makeLink({ probe: () => new Promise((resolve) => looks.push(resolve)) });
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
  link.reconnect("asked");
  looks[1](true);
  await settled();
  assert.deepEqual([FakeSocket.all.length, looks.length], [2, 3]);
  looks[2](true);
  await settled();
  assert.equal(FakeSocket.all.length, 3);
});

test("the notes say what happened", async () => {
  const { clock, link } = makeLink({ random: () => 0 });
  link.start(ADDRESS);
  FakeSocket.last.fail();
  assert.equal(link.note, "The daemon is not running at this address.");
  await clock.pass(250);
  FakeSocket.last.fail();
  assert.equal(link.note, "A program answers at the daemon's address but does not accept the connection.");
  await clock.pass(250 + HELLO_MAX_MS);
  assert.equal(link.note, "The connection did not open in time.");
  await clock.pass(250);
  greet();
  FakeSocket.last.fail();
  assert.equal(link.note, "The connection was lost.");
});
