/** Splits the text of an event stream, which may be cut anywhere, into its events. Pure. */

import { bytesOf } from "./outbox.js";

/** Two line ends in a row. A CR at the end of a piece ends a line too; a LF at the start of the next piece is dropped. */
const BLANK = /(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r(?!\n))/g;

/** Returns the fields of one block of lines, or null if it contains no data, as comments do. */
export function parseBlock(block) {
  let event = "message";
  const data = [];
  for (const line of block.split(/\r\n|\n|\r/)) {
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (name === "data") data.push(value);
    else if (name === "event" && value !== "") event = value;
  }
  return data.length === 0 ? null : { event, data: data.join("\n"), raw: block };
}

/** Reads pieces of text and returns whole events. */
export class EventSplitter {
  #rest = "";
  #bytes = 0;

  /** Bytes of the event that is not complete yet. */
  get waiting() {
    return this.#bytes;
  }

  /** Adds a piece; returns the events that it completes. */
  push(text) {
    // The end of an event may begin in the earlier text.
    BLANK.lastIndex = Math.max(0, this.#rest.length - 3);
    const all = this.#rest + text;
    const events = [];
    let from = 0;
    for (let found = BLANK.exec(all); found !== null; found = BLANK.exec(all)) {
      this.#add(events, all.slice(from, found.index));
      from = BLANK.lastIndex;
    }
    this.#rest = from === 0 ? all : all.slice(from);
    this.#bytes = from === 0 ? this.#bytes + bytesOf(text) : bytesOf(this.#rest);
    return events;
  }

  /** Returns the last event if the stream ended without its blank line. */
  end() {
    const events = [];
    this.#add(events, this.#rest);
    this.#rest = "";
    this.#bytes = 0;
    return events;
  }

  #add(events, block) {
    const parsed = parseBlock(block.replace(/^[\r\n]+|[\r\n]+$/g, ""));
    if (parsed !== null) events.push(parsed);
  }
}
