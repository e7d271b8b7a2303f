/**
 * Reads Google's frames from pieces of text: `)]}'`, then for each frame a line with its length and a JSON array.
 *
 * The length counts UTF-16 code units from the end of its digits. If it is wrong, the end of the array decides.
 */
import { TooLarge } from "./event-stream.js";
import { Drift, parsed } from "./outcome.js";

const GUARD = ")]}'";
const LENGTH = /^(\d{1,10})\r?\n/;

/** An incremental reader of frames. */
export class FrameReader {
  #limit;
  #onFrame;
  #pieces = [];
  #waiting = 0;
  #text = "";
  #needed = 0;
  #begun = false;
  #length = null;
  #scan = null;

  /**
   * @param {object} options
   * @param {number} options.limit most characters of one frame
   * @param {(frame: unknown[]) => void} options.onFrame
   */
  constructor({ limit, onFrame }) {
    this.#limit = limit;
    this.#onFrame = onFrame;
  }

  /**
   * Adds the next piece of text.
   * @param {string} text
   * @throws {TooLarge | Drift}
   */
  push(text) {
    this.#pieces.push(text);
    this.#waiting += text.length;
    if (this.#waiting < this.#needed) return;
    this.#join();
    while (this.#step(false));
    if (this.#text.length > this.#limit) throw new TooLarge();
  }

  /**
   * Ends the answer; a last whole frame is still read.
   * @returns {boolean} whether the last frame is incomplete
   */
  end() {
    this.#join();
    while (this.#step(true));
    return this.#text.trim() !== "" || this.#scan !== null;
  }

  #join() {
    this.#text += this.#pieces.join("");
    this.#pieces = [];
    this.#waiting = 0;
    this.#needed = 0;
  }

  /** Consumes the guard, a length or a frame; returns false if more text is needed. */
  #step(over) {
    if (this.#scan !== null) return this.#scanned();
    if (this.#length !== null) return this.#measured(over);
    this.#text = this.#text.trimStart();
    if (this.#text === "") return false;
    if (!this.#begun) return this.#guard();
    if (this.#text[0] === "[") {
      this.#scan = new ArrayScanner();
      return true;
    }
    const match = LENGTH.exec(this.#text);
    if (match === null) {
      if (!/^\d{1,10}\r?$/.test(this.#text)) throw new Drift("frame_length");
      return false;
    }
    this.#length = Number(match[1]);
    if (this.#length > this.#limit) throw new TooLarge();
    this.#text = this.#text.slice(match[1].length);
    return true;
  }

  #guard() {
    if (this.#text.length < GUARD.length && GUARD.startsWith(this.#text)) return false;
    if (!this.#text.startsWith(GUARD)) throw new Drift("frames_begin");
    this.#begun = true;
    this.#text = this.#text.slice(GUARD.length);
    return true;
  }

  /** Reads a frame of known length. */
  #measured(over) {
    if (this.#text.length < this.#length && !over) {
      this.#needed = this.#length - this.#text.length;
      return false;
    }
    const frame = parsed(this.#text.slice(0, this.#length));
    if (frame === undefined) {
      this.#text = this.#text.trimStart();
      this.#scan = new ArrayScanner();
    } else {
      this.#emit(frame, this.#length);
    }
    this.#length = null;
    return true;
  }

  /** Reads a frame by the end of its array. */
  #scanned() {
    const end = this.#scan.end(this.#text);
    if (end < 0) return false;
    const frame = parsed(this.#text.slice(0, end));
    if (frame === undefined) throw new Drift("frame_not_json");
    this.#scan = null;
    this.#emit(frame, end);
    return true;
  }

  #emit(frame, length) {
    this.#text = this.#text.slice(length);
    if (!Array.isArray(frame)) throw new Drift("frame_not_array");
    this.#onFrame(frame);
  }
}

/** Finds the end of a JSON array; continues where it stopped when more text comes. */
class ArrayScanner {
  #at = 0;
  #depth = 0;
  #inString = false;
  #escaped = false;

  /** Returns the length of the array, or -1 while it is incomplete. */
  end(text) {
    if (text !== "" && text[0] !== "[") throw new Drift("frame_not_array");
    for (; this.#at < text.length; this.#at += 1) {
      const char = text[this.#at];
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false;
        else if (char === "\\") this.#escaped = true;
        else if (char === '"') this.#inString = false;
      } else if (char === '"') {
        this.#inString = true;
      } else if (char === "[" || char === "{") {
        this.#depth += 1;
      } else if (char === "]" || char === "}") {
        this.#depth -= 1;
        if (this.#depth === 0) return this.#at + 1;
      }
    }
    return -1;
  }
}
