/**
 * Reads an event stream (`text/event-stream`) from pieces of text, which may be cut anywhere. At most `limit` characters of
 * an incomplete event are kept.
 */

const FIELDS = ["data", "event", "id", "retry"];

/** Thrown when an answer exceeds a limit. */
export class TooLarge extends Error {
  constructor() {
    super("too_large");
  }
}

/** An incremental reader of event streams. */
export class EventStream {
  #limit;
  #onEvent;
  #pieces = [];
  #waiting = 0;
  #afterCr = false;
  #atStart = true;
  #event = "";
  #data = [];
  #size = 0;
  #events = 0;
  #strange = false;

  /**
   * @param {object} options
   * @param {number} options.limit most characters of one event
   * @param {(event: {event: string, data: string, whole: boolean}) => void} options.onEvent
   *   called for each event with data; `whole` is false if the end of the stream cut it
   */
  constructor({ limit, onEvent }) {
    this.#limit = limit;
    this.#onEvent = onEvent;
  }

  /**
   * Adds the next piece of text.
   * @param {string} text
   * @throws {TooLarge} if an event exceeds the limit
   */
  push(text) {
    let from = 0;
    if (this.#afterCr && text.length > 0) {
      this.#afterCr = false;
      if (text[0] === "\n") from = 1;
    }
    for (;;) {
      const end = lineEnd(text, from);
      if (end < 0) break;
      const line = this.#take(text.slice(from, end));
      from = end + 1;
      if (text[end] === "\r") {
        if (from === text.length) this.#afterCr = true;
        else if (text[from] === "\n") from += 1;
      }
      this.#line(line);
    }
    if (from < text.length) {
      this.#pieces.push(text.slice(from));
      this.#waiting += text.length - from;
      this.#check();
    }
  }

  /** Ends the stream: an incomplete event is passed on as not whole. */
  end() {
    const rest = this.#take("");
    if (rest !== "") this.#line(rest, false);
    this.#dispatch(false);
  }

  /** Whether the text is no event stream, for example a page. */
  get isForeign() {
    return this.#events === 0 && this.#strange;
  }

  #take(tail) {
    if (this.#pieces.length === 0) return tail;
    this.#pieces.push(tail);
    const line = this.#pieces.join("");
    this.#pieces = [];
    this.#waiting = 0;
    return line;
  }

  #check() {
    if (this.#waiting + this.#size > this.#limit) throw new TooLarge();
  }

  #line(raw, whole = true) {
    const line = this.#atStart ? raw.replace(/^\uFEFF/, "") : raw;
    this.#atStart = false;
    if (line === "") {
      this.#dispatch(true);
      return;
    }
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? "" : line.slice(colon + 1);
    if (value[0] === " ") value = value.slice(1);
    if (name === "event") {
      this.#event = value;
    } else if (name === "data") {
      this.#data.push(value);
      this.#size += value.length;
      this.#check();
    } else if (name !== "" && !FIELDS.some((field) => (whole ? field === name : field.startsWith(name)))) {
      this.#strange = true;
    }
  }

  #dispatch(whole) {
    const event = this.#event;
    const data = this.#data;
    this.#event = "";
    this.#data = [];
    this.#size = 0;
    if (data.length === 0) return;
    this.#events += 1;
    this.#onEvent({ event, data: data.join("\n"), whole });
  }
}

/** Returns the end of the next line, or -1. */
function lineEnd(text, from) {
  const lf = text.indexOf("\n", from);
  const before = lf < 0 ? text : text.slice(from, lf);
  const cr = lf < 0 ? before.indexOf("\r", from) : before.indexOf("\r");
  if (cr < 0) return lf;
  return lf < 0 ? cr : from + cr;
}
