/** Links with fake sockets. */
import assert from "node:assert/strict";
import { Link } from "../../background/link.js";
import { hello } from "../../wire.js";
import { CLAUDE, Clock, FakeSocket } from "./fakes.js";

/** The address of the tests' daemon. */
export const ADDRESS = "ws://127.0.0.1:4317/ws/firefox";
/** The daemon's `hello_ack`. */
export const ACK = { type: "hello_ack", client_id: "firefox-1", connection_id: "c", heartbeat_ms: 15_000, platforms: [CLAUDE] };

/** A pairing that accepts any daemon. */
export const WITHOUT_PAIRING = { begin: () => "nonce", acknowledged: () => ({}), pairingRequired: () => undefined, codeShown() {}, answer: async () => ({ fault: "no" }) };

/** Returns a link that is not started, its clock, and a record of its callbacks. */
export function makeLink({ random = () => 1, probe = async () => true, pairing = WITHOUT_PAIRING, log = () => {} } = {}) {
  const clock = new Clock();
  const told = { connected: 0, lost: 0, frames: [], states: [], offset: 0 };
  const link = new Link(
    { ...clock, now: () => clock.at + told.offset, WebSocket: FakeSocket, random, probe, pairing, hello: (nonce) => hello({ client_id: "firefox-1", nonce }) },
    {
      state: () => {
        told.states.push(link.state);
        assert.ok(FakeSocket.open.length <= 1, "never two sockets");
      },
      connected: () => (told.connected += 1),
      frame: (frame) => told.frames.push(frame.body?.text ?? frame.type),
      lost: () => (told.lost += 1),
      log,
    },
  );
  return { clock, link, told };
}

/** Accepts the last connection and sends `hello_ack`. */
export function greet() {
  FakeSocket.last.accept();
  FakeSocket.last.say(ACK);
}

/** Returns a connected link and its socket. */
export function connectedLink() {
  const clock = new Clock();
  const on = { state() {}, connected() {}, frame() {}, lost() {}, log() {} };
  const link = new Link({ ...clock, WebSocket: FakeSocket, random: () => 0, pairing: WITHOUT_PAIRING, hello: () => "{}" }, on);
  link.start(ADDRESS);
  const socket = FakeSocket.last;
  socket.accept();
  socket.say({ type: "hello_ack", client_id: "c", connection_id: "c", platforms: [] });
  socket.sent = [];
  return { clock, link, socket };
}
