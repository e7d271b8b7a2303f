/** A bounded queue of frames for one socket; frames are written in order, no faster than the socket sends them. */

/** Most bytes and frames in the queue. */
export const QUEUE_BYTES_MAX = 48 << 20;
export const QUEUE_FRAMES_MAX = 8_192;
/** Extra room for frames that end an answer, without which the daemon would wait in vain. */
export const END_BYTES_MAX = 1 << 20;
export const END_FRAMES_MAX = 1_024;
/** The largest message that the daemon accepts (`bridge.max_message_bytes`); it closes the connection for a larger one. */
export const FRAME_BYTES_MAX = 40 << 20;
/** Above this number of unsent bytes in the socket, frames wait in the queue. */
export const SOCKET_BYTES_HIGH = 4 << 20;
/** Interval at which the queue is drained. */
const DRAIN_MS = 5;

/** Returns the number of bytes of a text in UTF-8. */
export function bytesOf(text) {
  let bytes = text.length;
  for (let i = 0; i < text.length; i += 1) {
    const c = text.charCodeAt(i);
    if (c < 0x80) continue;
    // A surrogate pair has four bytes; a single surrogate becomes U+FFFD, which has three.
    if (c < 0x800) bytes += 1;
    else if (c >= 0xd800 && c <= 0xdbff && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00) {
      bytes += 2;
      i += 1;
    } else bytes += 2;
  }
  return bytes;
}

/** Whether a text has more than `max` bytes in UTF-8; counts them only if needed. */
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

  /** Number of unsent bytes. */
  get unsent() {
    return this.#bytes + this.#socket.bufferedAmount;
  }

  /** Sends or queues a frame; returns false if the queue is full. An `end` has extra room. */
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

  /** Resolves once fewer than `bytes` are unsent, or the outbox is closed; undefined if that is so already. */
  room(bytes) {
    if (this.unsent < bytes) return undefined;
    return new Promise((resolve) => {
      this.#waiters.push({ bytes, resolve });
      this.#scheduleDrain();
    });
  }

  /** Resolves once everything is sent, the outbox is closed, or `ms` have passed; undefined if nothing is unsent. */
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

  /** Discards the queue, because the socket is closed. */
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
