/**
 * Reads Google's frames from pieces of text: `)]}'`, then for each frame a line
 * with its length and a JSON array.
 *
 * The length counts UTF-16 code units, as JavaScript strings do, from the end
 * of the line's digits on. Where it was counted otherwise, the array's own end
 * decides.
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
   * @param {number} options.limit how many characters one frame may have
   * @param {(frame: unknown[]) => void} options.onFrame
   */
  constructor({ limit, onFrame }) {
    this.#limit = limit;
    this.#onFrame = onFrame;
  }

  /**
   * Takes the next piece of text.
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
   * The answer is over: a frame that is whole is still read.
   * @returns {boolean} was the last frame cut short?
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

  /** Takes one thing off the front of the text. */
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

  /** A frame of which the length is known. */
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

  /** A frame of which only the array itself says where it ends. */
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

/** Finds where a JSON array ends, without beginning anew for each piece. */
class ArrayScanner {
  #at = 0;
  #depth = 0;
  #inString = false;
  #escaped = false;

  /** How long the array is, or -1 as long as it has no end. */
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
