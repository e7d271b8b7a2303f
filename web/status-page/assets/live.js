/** Live events: one event stream, reopened whenever it ends. */
import { EVENTS } from "./state.js";

const PATH = "/v1/events";
const RETRY_MS = { least: 1_000, most: 30_000 };

export class Live {
  #make;
  #later;
  #told;
  #link;
  #source = null;
  #wait = RETRY_MS.least;

  /**
   * `make(path)`: a Source or an EventSource; `later(act, ms)`: a timer; `told(name, data)`: called for each event;
   * `link(isLive)`: called when the stream opens or ends.
   */
  constructor({ make, later, told, link }) {
    this.#make = make;
    this.#later = later;
    this.#told = told;
    this.#link = link;
  }

  open() {
    this.#source?.close();
    const source = this.#make(PATH);
    this.#source = source;
    source.addEventListener("open", () => {
      this.#wait = RETRY_MS.least;
      this.#link(true);
    });
    source.addEventListener("error", () => {
      if (source !== this.#source) return;
      this.#link(false);
      // Otherwise it reconnects by itself, with the id of the last event.
      if (source.readyState !== source.CLOSED) return;
      this.#source = null;
      this.#later(() => this.#source ?? this.open(), this.#wait);
      this.#wait = Math.min(RETRY_MS.most, this.#wait * 2);
    });
    for (const name of Object.keys(EVENTS)) {
      source.addEventListener(name, ({ data }) => {
        const read = parsed(data);
        if (read !== null) this.#told(name, read);
      });
    }
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
