import assert from "node:assert/strict";
import { test } from "node:test";
import { Session } from "../assets/session.js";

function stored() {
  const kept = new Map();
  return { kept, getItem: (name) => kept.get(name) ?? null, setItem: (name, value) => kept.set(name, value), removeItem: (name) => kept.delete(name) };
}

const random = (bytes) => bytes.fill(0x0a);

test("a key is drawn, kept once its session has begun, and shown by every tab until it is over", () => {
  const shelf = stored();
  const [one, other] = [0, 1].map(() => new Session({ shelf: () => shelf, random }));
  const key = one.draw();
  assert.equal(key, "0a".repeat(32));
  assert.deepEqual([one.headers(), shelf.kept.size], [{}, 0]);
  one.begun(key);
  for (const tab of [one, other]) assert.deepEqual(tab.headers(), { "x-baa-session-key": key });
  other.begun(undefined);
  assert.deepEqual(one.headers(), {});
});

test("where nothing can be kept there is no key", () => {
  const full = { ...stored(), setItem: () => {} };
  for (const shelf of [() => full, () => { throw new DOMException("denied", "SecurityError"); }]) {
    const session = new Session({ shelf, random });
    assert.equal(session.draw(), undefined);
    session.begun(undefined);
    assert.deepEqual(session.headers(), {});
  }
});
