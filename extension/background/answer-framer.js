/** One answer of a web app on its way to the daemon: whole, or event by event. */
import * as wire from "../wire.js";
import { EventSplitter } from "./events.js";
import { bytesOf, exceeds } from "./outbox.js";

/** What comes within this time of a stream that is not made of events goes as one. */
export const JOIN_MS = 4;
/** An event longer than this goes without its text as it stood, which is the same once more. */
export const RAW_CHARS_MAX = 1 << 20;

const REFUSED = "The app refused the filled prompt template.";

/** Turns the pieces of an answer into frames. */
export class AnswerFramer {
  #to;
  #seq = 0;
  #pieces = [];
  #length = 0;
  #splitter = null;
  #whole;
  #timer = null;
  #closed = false;

  /**
   * @param {object} to `id`, `stream_id`, `stream` (whether events are wanted), `status`, `headers`, `meta`, `max`, `refusal` (the code
   *   of why the app's answer is no success, when it says more than its status),
   *   `send(frame, end)`, which may close this, `setTimeout`, `clearTimeout`
   */
  constructor(to) {
    this.#to = to;
    if (/event-stream/i.test(to.headers?.["content-type"] ?? "")) this.#splitter = new EventSplitter();
    // Of an error somebody wants to read the body as it is, not in pieces.
    this.#whole = !to.stream || (this.#splitter === null && to.status >= 400);
  }

  /** How many bytes wait for the end. */
  get waiting() {
    return this.#length;
  }

  /** Status and headers are there. */
  open() {
    const { id, stream_id, stream, status, meta, headers, send } = this.#to;
    if (stream) send(wire.streamOpen({ id, stream_id, status, meta, headers }));
  }

  /** Takes a piece. False when that is more than may be kept. */
  push(text) {
    if (this.#closed) return true;
    if (!this.#whole && this.#splitter !== null) {
      for (const event of this.#splitter.push(text)) {
        if (exceeds(event.raw, this.#to.max)) return false;
        this.#event(event);
      }
      return this.#splitter.waiting <= this.#to.max;
    }
    // A stream that turns out to be one JSON value is one event.
    if (!this.#whole && this.#seq === 0 && this.#length === 0 && /^\s*[{[]/.test(text)) this.#whole = true;
    this.#pieces.push(text);
    this.#length += bytesOf(text);
    if (!this.#whole) this.#timer ??= this.#to.setTimeout(() => this.flush(), JOIN_MS);
    return this.#length <= this.#to.max;
  }

  /** Sends what waits of a stream. */
  flush() {
    this.#to.clearTimeout(this.#timer);
    this.#timer = null;
    if (!this.#to.stream || this.#length === 0) return;
    const text = this.#take();
    this.#event({ event: "message", data: text, raw: text });
  }

  /** The answer is complete. */
  end() {
    if (this.#closed) return;
    const { id, stream_id, stream, status, headers, refusal, send } = this.#to;
    if (!stream) {
      const ok = status < 400;
      send(wire.apiResponse({ id, ok, status, text: this.#take(), error: ok ? undefined : (refusal ?? `http_${status}`), headers }));
      return;
    }
    for (const event of this.#splitter?.end() ?? []) this.#event(event);
    this.flush();
    if (this.#closed) return;
    if (refusal === undefined) send(wire.streamEnd({ id, stream_id, status }), true);
    else send(wire.streamError({ id, stream_id, status, code: refusal, message: REFUSED }), true);
  }

  /** Nothing more is wanted. */
  close() {
    this.#closed = true;
    this.#to.clearTimeout(this.#timer);
    this.#timer = null;
    this.#pieces = [];
    this.#length = 0;
  }

  #take() {
    const text = this.#pieces.length === 1 ? this.#pieces[0] : this.#pieces.join("");
    this.#pieces = [];
    this.#length = 0;
    return text;
  }

  #event({ event, data, raw }) {
    // One that is missing is the end: nothing may come after it.
    if (this.#closed) return;
    this.#seq += 1;
    const { id, stream_id, send } = this.#to;
    send(wire.streamEvent({ id, stream_id, seq: this.#seq, event, data, raw: raw.length > RAW_CHARS_MAX ? undefined : raw }));
  }
}
