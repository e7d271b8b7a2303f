/**
 * Reads an event stream (`text/event-stream`) from pieces of text.
 *
 * Pieces may end anywhere: within a field name, between CR and LF, within the
 * data. What is not yet a whole line waits, and no more of it than `limit`.
 */

const FIELDS = ["data", "event", "id", "retry"];

/** Thrown when a stream holds more than may be kept. */
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
   * @param {number} options.limit how many characters one event may have
   * @param {(event: {event: string, data: string, whole: boolean}) => void} options.onEvent
   *   told of each event that has data; `whole` is false for one the end cut short
   */
  constructor({ limit, onEvent }) {
    this.#limit = limit;
    this.#onEvent = onEvent;
  }

  /**
   * Takes the next piece of text.
   * @param {string} text
   * @throws {TooLarge} when an event grows over the limit
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

  /** The stream is over: what waits is handed on as not whole. */
  end() {
    const rest = this.#take("");
    if (rest !== "") this.#line(rest, false);
    this.#dispatch(false);
  }

  /** Is what came no event stream at all, but a page or the like? */
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

/** Where the next line ends, or -1. */
function lineEnd(text, from) {
  const lf = text.indexOf("\n", from);
  const before = lf < 0 ? text : text.slice(from, lf);
  const cr = lf < 0 ? before.indexOf("\r", from) : before.indexOf("\r");
  if (cr < 0) return lf;
  return lf < 0 ? cr : from + cr;
}
