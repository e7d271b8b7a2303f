/**
 * Reads the Claude app's own traffic.
 *
 * An answer is an event stream: `message_start`, content blocks with their deltas, `message_stop`. Thinking is left out. An
 * older format has `completion` events, each with a piece of the text.
 */
import { firstAccount, isSuccess } from "./account.js";
import { EventStream, TooLarge } from "./event-stream.js";
import { Drift, MAX_TEXT, guarded, isId, isObject, message, nothing, parsed, pathOf } from "./outcome.js";

const COMPLETION = /\/chat_conversations\/([^/]+)\/(?:retry_)?completion\/?$/;

/** Deltas that add nothing to the text, whatever block they belong to. */
const NOT_TEXT = new Set([
  "citation_end_delta",
  "citation_start_delta",
  "citations_delta",
  "input_json_delta",
  "signature_delta",
  "thinking_delta",
  "thinking_summary_delta",
]);

/** Stop reasons that complete the answer, even without `message_stop`. */
const FINAL_STOP_REASONS = new Set(["end_turn", "max_tokens", "stop_sequence"]);

/** Stop reasons after which the turn continues. */
const PAUSE_STOP_REASONS = new Set(["pause_turn", "tool_use"]);

/**
 * Whether the answer to this request of the page may contain a final message.
 * @param {{method: string, url: string}} request
 * @returns {boolean}
 */
export function watches({ method, url }) {
  return String(method).toUpperCase() === "POST" && COMPLETION.test(pathOf(url));
}

/**
 * Returns a reader of one such answer.
 * @param {{method: string, url: string, requestBody?: string | null, pageUrl?: string}} request
 * @returns {{push: (text: string) => void, end: (complete: boolean) => object}}
 */
export function extractor({ url }) {
  const answer = new ClaudeAnswer();
  const events = new EventStream({ limit: MAX_TEXT, onEvent: (event) => answer.event(event) });
  return guarded({
    push: (text) => events.push(text),
    end: (complete) => {
      if (complete) events.end();
      if (events.isForeign) throw new Drift("no_event_stream");
      return answer.outcome(conversationOf(url), complete);
    },
  });
}

/**
 * Returns the account in this answer (an e-mail address, else an id), or null.
 * @param {{method: string, url: string, status: number, body: unknown}} answer
 * @returns {string | null}
 */
export function account({ method, url, status, body }) {
  if (!isSuccess({ method, status })) return null;
  const path = pathOf(url);
  if (/^\/api\/(account|account_profile|bootstrap(\/[^/]+\/app_start)?)\/?$/.test(path)) {
    return firstAccount(body, ["account", "user"]);
  }
  if (/^\/api\/organizations\/?$/.test(path)) {
    return firstAccount(body, ["organizations", "items", "entries", "data"]);
  }
  return null;
}

function conversationOf(url) {
  const id = COMPLETION.exec(pathOf(url))?.[1] ?? "";
  return isId(id) ? id : null;
}

/** State of the answer after the events so far. */
class ClaudeAnswer {
  #id = null;
  #blocks = new Map();
  #older = null;
  #size = 0;
  #started = false;
  #understood = false;
  #finished = false;
  #goesOn = false;
  #failed = false;
  #unknown = null;

  event({ event, data, whole }) {
    const value = parsed(data);
    if (!isObject(value)) {
      if (whole) throw new Drift("event_not_json");
      return;
    }
    const type = typeof value.type === "string" ? value.type : event;
    const handle = EVENT_METHODS[type];
    if (handle !== undefined) {
      this.#understood = true;
      this[handle](value);
    } else {
      this.#unknown ??= type === "" ? "event_without_type" : "unknown_events";
    }
  }

  outcome(conversationId, complete) {
    if (this.#finished) {
      if (this.#goesOn) return nothing("goes_on");
      return message({ conversationId, messageId: this.#id, text: this.#text() });
    }
    if (this.#failed) return nothing("error");
    if (complete && !this.#understood && this.#unknown !== null) throw new Drift(this.#unknown);
    return nothing("unfinished");
  }

  start({ message: head }) {
    if (!isObject(head)) throw new Drift("message_start_shape");
    if (head.role !== undefined && head.role !== "assistant") throw new Drift("message_role");
    this.#id = [head.uuid, head.id].find(isId) ?? null;
    this.#blocks = new Map();
    this.#size = 0;
    this.#started = true;
    this.#finished = false;
    this.#goesOn = false;
  }

  blockStart({ index, content_block: block }) {
    if (!this.#started || !isObject(block) || typeof block.type !== "string") {
      throw new Drift("content_block_start_shape");
    }
    if (this.#blocks.has(indexOf(index))) throw new Drift("content_block_twice");
    this.#blocks.set(indexOf(index), { isText: block.type === "text", text: "" });
    this.#finished = false;
    if (block.type === "text" && typeof block.text === "string") this.#append(index, block.text);
  }

  blockDelta({ index, delta }) {
    if (!this.#started || !isObject(delta)) throw new Drift("content_block_delta_shape");
    if (NOT_TEXT.has(delta.type)) return;
    const block = this.#blocks.get(indexOf(index));
    if (delta.type === "text_delta") {
      if (typeof delta.text !== "string") throw new Drift("text_delta_shape");
      this.#append(index, delta.text);
    } else if (block === undefined || block.isText) {
      throw new Drift("unknown_delta");
    }
  }

  messageDelta({ delta }) {
    const reason = isObject(delta) ? delta.stop_reason : undefined;
    this.#goesOn = PAUSE_STOP_REASONS.has(reason);
    if (FINAL_STOP_REASONS.has(reason)) this.#finish();
  }

  stop() {
    this.#finish();
  }

  completion({ completion, stop_reason: reason, uuid, id }) {
    if (this.#started || (typeof completion !== "string" && completion !== null && completion !== undefined)) {
      throw new Drift("completion_shape");
    }
    if (typeof completion !== "string" && typeof reason !== "string") throw new Drift("completion_shape");
    this.#older = (this.#older ?? "") + (completion ?? "");
    this.#grow((completion ?? "").length);
    this.#id = [uuid, id].find(isId) ?? this.#id;
    if (typeof reason === "string") this.#finished = true;
  }

  error() {
    this.#failed = true;
  }

  nothing() {}

  #finish() {
    if (!this.#started && this.#older === null) throw new Drift("stop_without_start");
    this.#finished = true;
  }

  #append(index, text) {
    let block = this.#blocks.get(indexOf(index));
    if (block === undefined) {
      block = { isText: true, text: "" };
      this.#blocks.set(indexOf(index), block);
    }
    if (!block.isText) throw new Drift("text_in_other_block");
    this.#grow(text.length);
    block.text += text;
    this.#finished = false;
  }

  #grow(length) {
    this.#size += length;
    if (this.#size > MAX_TEXT) throw new TooLarge();
  }

  /** Joins the text blocks; a tool or a thought between two of them starts a new paragraph. */
  #text() {
    if (this.#older !== null) return this.#older;
    let text = "";
    let parted = false;
    for (const block of this.#blocks.values()) {
      if (!block.isText) {
        parted = true;
      } else if (block.text !== "") {
        if (parted && text !== "") text += "\n\n";
        parted = false;
        text += block.text;
      }
    }
    return text;
  }
}

/** The methods that handle events, by type. */
const EVENT_METHODS = Object.assign(Object.create(null), {
  completion: "completion",
  content_block_delta: "blockDelta",
  content_block_start: "blockStart",
  content_block_stop: "nothing",
  error: "error",
  message_delta: "messageDelta",
  message_start: "start",
  message_stop: "stop",
  ping: "nothing",
});

function indexOf(index) {
  if (index === undefined) return 0;
  if (!Number.isInteger(index) || index < 0 || index > 10_000) throw new Drift("content_block_index");
  return index;
}
