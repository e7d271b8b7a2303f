/** What waits to be sent on one socket: in order, bounded, and no faster than the socket takes it. */

/** What may wait. */
export const QUEUE_BYTES_MAX = 48 << 20;
export const QUEUE_FRAMES_MAX = 8_192;
/** What of the ends of answers may wait beyond that: without them the daemon waits in vain. */
export const END_BYTES_MAX = 1 << 20;
export const END_FRAMES_MAX = 1_024;
/** The largest message that the daemon reads (`bridge.max_message_bytes`); for a larger one it closes the connection. */
export const FRAME_BYTES_MAX = 40 << 20;
/** Above this many unsent bytes in the socket, frames wait here. */
export const SOCKET_BYTES_HIGH = 4 << 20;
/** How often what waits is looked at. */
const DRAIN_MS = 5;

/** How many bytes a text has on the wire. */
export function bytesOf(text) {
  let bytes = text.length;
  for (let i = 0; i < text.length; i += 1) {
    const c = text.charCodeAt(i);
    if (c < 0x80) continue;
    // Half of a pair has two of the four bytes; one that is alone becomes U+FFFD, which has three.
    if (c < 0x800) bytes += 1;
    else if (c >= 0xd800 && c <= 0xdbff && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00) {
      bytes += 2;
      i += 1;
    } else bytes += 2;
  }
  return bytes;
}

/** Whether a text has more than `max` bytes on the wire; cheap where that is clear at once. */
export const exceeds = (text, max) => text.length > max || (text.length * 3 > max && bytesOf(text) > max);

/** The frames of one socket. */
export class Outbox {
  #socket;
  #timers;
  #queue = [];
  #bytes = 0;
  #timer = null;
  #waiters = [];

  /** @param {WebSocket} socket open; `timers`: `setTimeout`, `clearTimeout` */
  constructor(socket, timers) {
    this.#socket = socket;
    this.#timers = timers;
  }

  /** Bytes that are not on their way yet. */
  get unsent() {
    return this.#bytes + this.#socket.bufferedAmount;
  }

  /** Sends a frame as soon as there is room; false when too much waits already. For an `end` there is more room. */
  send(frame, end = false) {
    if (exceeds(frame, FRAME_BYTES_MAX)) return false;
    if (this.#queue.length === 0 && this.#socket.bufferedAmount < SOCKET_BYTES_HIGH) {
      this.#socket.send(frame);
      return true;
    }
    if (this.#queue.length >= QUEUE_FRAMES_MAX + (end ? END_FRAMES_MAX : 0)) return false;
    const bytes = bytesOf(frame);
    if (this.#bytes + bytes > QUEUE_BYTES_MAX + (end ? END_BYTES_MAX : 0)) return false;
    this.#queue.push({ frame, bytes });
    this.#bytes += bytes;
    this.#scheduleDrain();
    return true;
  }

  /** Resolves once less than `bytes` wait, or the socket is gone; undefined when that is so already. */
  room(bytes) {
    if (this.unsent < bytes) return undefined;
    return new Promise((resolve) => {
      this.#waiters.push({ bytes, resolve });
      this.#scheduleDrain();
    });
  }

  /** Resolves once nothing waits, the socket is gone, or `ms` have passed; undefined when nothing waits already. */
  drained(ms) {
    const { setTimeout, clearTimeout } = this.#timers;
    const sent = this.room(1);
    return sent && new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      void sent.then(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** The socket is gone, and what waited with it. */
  close() {
    this.#timers.clearTimeout(this.#timer);
    this.#queue = [];
    this.#bytes = 0;
    for (const waiter of this.#waiters.splice(0)) waiter.resolve();
  }

  #scheduleDrain() {
    this.#timer ??= this.#timers.setTimeout(() => {
      this.#timer = null;
      this.#drain();
    }, DRAIN_MS);
  }

  #drain() {
    let sent = 0;
    while (sent < this.#queue.length && this.#socket.bufferedAmount < SOCKET_BYTES_HIGH) {
      const { frame, bytes } = this.#queue[sent];
      this.#socket.send(frame);
      this.#bytes -= bytes;
      sent += 1;
    }
    this.#queue.splice(0, sent);
    this.#waiters = this.#waiters.filter((waiter) => {
      if (this.unsent >= waiter.bytes) return true;
      waiter.resolve();
      return false;
    });
    if (this.#queue.length > 0 || this.#waiters.length > 0) this.#scheduleDrain();
  }
}
