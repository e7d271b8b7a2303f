/** Turns a web app's answer into frames for the daemon: one frame for a whole answer, or one per event. */
import * as wire from "../wire.js";
import { EventSplitter } from "./events.js";
import { bytesOf, exceeds } from "./outbox.js";

/** Time in which pieces of a stream without events are joined into one event. */
export const JOIN_MS = 4;
/** An event longer than this is sent without `raw`, which repeats its data. */
export const RAW_CHARS_MAX = 1 << 20;

const REFUSED = "The app refused the filled prompt template.";

/** The frames of one answer. */
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
   *   for an answer that is no success, if it is more precise than the status), `send(frame, end)`, which may call `close`,
   *   `setTimeout`, `clearTimeout`
   */
  constructor(to) {
    this.#to = to;
    if (/event-stream/i.test(to.headers?.["content-type"] ?? "")) this.#splitter = new EventSplitter();
    // The body of an error is one event, not pieces.
    this.#whole = !to.stream || (this.#splitter === null && to.status >= 400);
  }

  /** Number of bytes that are held until the end. */
  get waiting() {
    return this.#length;
  }

  /** Sends status and headers. */
  open() {
    const { id, stream_id, stream, status, meta, headers, send } = this.#to;
    if (stream) send(wire.streamOpen({ id, stream_id, status, meta, headers }));
  }

  /** Adds a piece; returns false if the limit is exceeded. */
  push(text) {
    if (this.#closed) return true;
    if (!this.#whole && this.#splitter !== null) {
      for (const event of this.#splitter.push(text)) {
        if (exceeds(event.raw, this.#to.max)) return false;
        this.#event(event);
      }
      return this.#splitter.waiting <= this.#to.max;
    }
    // A stream that begins like one JSON value becomes one event.
    if (!this.#whole && this.#seq === 0 && this.#length === 0 && /^\s*[{[]/.test(text)) this.#whole = true;
    this.#pieces.push(text);
    this.#length += bytesOf(text);
    if (!this.#whole) this.#timer ??= this.#to.setTimeout(() => this.flush(), JOIN_MS);
    return this.#length <= this.#to.max;
  }

  /** Sends the pieces of a stream that are held. */
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

  /** Discards the rest of the answer. */
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
    // After an event that could not be sent, none may follow.
    if (this.#closed) return;
    this.#seq += 1;
    const { id, stream_id, send } = this.#to;
    send(wire.streamEvent({ id, stream_id, seq: this.#seq, event, data, raw: raw.length > RAW_CHARS_MAX ? undefined : raw }));
  }
}
