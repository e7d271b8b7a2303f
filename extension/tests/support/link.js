/** A connection for the tests of those who use one. */
import { Link } from "../../background/link.js";
import { Clock, FakeSocket } from "./fakes.js";

/** A greeted link over a socket of the test's. */
export function greetedLink() {
  const clock = new Clock();
  const on = { state() {}, greeted() {}, frame() {}, lost() {}, log() {} };
  const link = new Link({ ...clock, WebSocket: FakeSocket, random: () => 0, hello: () => "{}" }, on);
  link.start("ws://127.0.0.1:4317/ws/firefox");
  const socket = FakeSocket.last;
  socket.accept();
  socket.say({ type: "hello_ack", client_id: "c", connection_id: "c", platforms: [] });
  socket.sent = [];
  return { clock, link, socket };
}
