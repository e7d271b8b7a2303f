/**
 * Reads the ChatGPT app's own traffic.
 *
 * An answer is an event stream of snapshots (each the whole message so far) or of deltas, mixed with typed lines. A stream
 * contains several messages: the user's own, tools, thoughts; the answer is the assistant's last one to all.
 */
import { firstAccount, isSuccess } from "./account.js";
import { DeltaDocuments, isDelta } from "./chatgpt-deltas.js";
import { textOf, isAnswer, isFinished } from "./chatgpt-message.js";
import { EventStream, TooLarge } from "./event-stream.js";
import { Drift, MAX_TEXT, guarded, isId, isObject, message, nothing, parsed, pathOf } from "./outcome.js";

const MAX_MESSAGES = 256;
const CONVERSATION = /\/backend-(?:api|anon)\/(?:f\/)?conversation\/?$/;

/**
 * Whether the answer to this request of the page may contain a final message.
 * @param {{method: string, url: string}} request
 * @returns {boolean}
 */
export function watches({ method, url }) {
  return String(method).toUpperCase() === "POST" && CONVERSATION.test(pathOf(url));
}

/**
 * Returns a reader of one such answer.
 * @param {{method: string, url: string, requestBody?: string | null, pageUrl?: string}} request
 * @returns {{push: (text: string) => void, end: (complete: boolean) => object}}
 */
export function extractor({ requestBody, pageUrl }) {
  const asked = [inBody(requestBody), inPage(pageUrl)].find((id) => id !== null) ?? null;
  const answer = new ChatgptAnswer(asked);
  const events = new EventStream({ limit: MAX_TEXT * 2, onEvent: (event) => answer.event(event) });
  return guarded({
    push: (text) => events.push(text),
    end: (complete) => {
      if (complete) events.end();
      if (events.isForeign) throw new Drift("no_event_stream");
      return answer.outcome(complete);
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
  if (/^\/backend-api\/me\/?$/.test(path)) return firstAccount(body, ["user"]);
  if (/^\/api\/auth\/session\/?$/.test(path)) return firstAccount(body, ["user"]);
  return null;
}

/**
 * Returns the path of the prompt in the body of a send; null for other requests.
 * @param {string} body
 * @returns {(string | number)[] | null}
 */
export function promptPlace(body) {
  const value = parsed(body);
  if (!isObject(value) || (value.action ?? "next") !== "next" || !Array.isArray(value.messages)) return null;
  const at = value.messages.findLastIndex((each) => isObject(each) && each.author?.role === "user");
  const parts = value.messages[at]?.content?.parts;
  const part = Array.isArray(parts) ? parts.findLastIndex((each) => typeof each === "string" && each.trim() !== "") : -1;
  return part < 0 ? null : ["messages", at, "content", "parts", part];
}

function inBody(body) {
  const value = typeof body === "string" ? parsed(body) : body;
  return isObject(value) ? conversation(value.conversation_id) : null;
}

function inPage(url) {
  return conversation(/\/c\/([^/]+)/.exec(pathOf(url ?? ""))?.[1]);
}

/** Returns a valid conversation id, else null. An id with a colon is a placeholder of the page. */
function conversation(id) {
  return isId(id) && !id.includes(":") ? id : null;
}

/** State of the answer after the events so far. */
class ChatgptAnswer {
  #conversation;
  #documents = new DeltaDocuments();
  #latest = null;
  #earlier = new Set();
  #understood = false;
  #closed = false;
  #failed = false;
  #unknown = false;

  constructor(asked) {
    this.#conversation = asked;
  }

  event({ event, data, whole }) {
    if (data.trim() === "[DONE]") {
      this.#closed = true;
      this.#understood = true;
      return;
    }
    const value = parsed(data);
    if (value === undefined && !whole) return;
    if (event === "delta_encoding") {
      if (value !== "v1") throw new Drift("delta_encoding");
      this.#understood = true;
    } else if (isObject(value)) {
      this.#object(value, data.length);
    } else {
      throw new Drift("event_not_json");
    }
  }

  outcome(complete) {
    if (this.#latest === null || !isAnswer(this.#latest) || !isFinished(this.#latest, this.#closed)) {
      if (this.#failed) return nothing("error");
      if (complete && !this.#understood && this.#unknown) throw new Drift("unknown_events");
      return nothing(this.#latest === null ? "no_answer" : "unfinished");
    }
    const text = textOf(this.#latest);
    if (text.length > MAX_TEXT) throw new TooLarge();
    return message({ conversationId: this.#conversation, messageId: this.#latest.id, text });
  }

  #object(value, length) {
    if (isDelta(value)) {
      this.#document(this.#documents.apply(value, length));
    } else if (isObject(value.message)) {
      this.#document(value);
    } else if (typeof value.type === "string") {
      this.#understood = true;
      this.#named(value.conversation_id);
      if (value.type === "message_stream_complete") this.#closed = true;
      if (value.type === "error") this.#failed = true;
    } else if (value.error !== undefined && value.error !== null) {
      this.#failed = true;
      this.#understood = true;
    } else {
      this.#unknown = true;
    }
  }

  /** Handles a document whose message changed. */
  #document(document) {
    if (!isObject(document.message)) {
      this.#unknown = true;
      return;
    }
    this.#understood = true;
    this.#named(document.conversation_id);
    if (document.error !== undefined && document.error !== null) this.#failed = true;
    if (isAnswer(document.message)) this.#answer(document.message);
  }

  /** Makes this the latest answer; later changes of an earlier answer do not. */
  #answer(current) {
    if (this.#earlier.has(current.id)) return;
    const before = this.#latest?.id;
    if (isId(before) && before !== current.id) this.#earlier.add(before);
    if (this.#earlier.size > MAX_MESSAGES) throw new TooLarge();
    this.#latest = current;
  }

  #named(id) {
    this.#conversation = conversation(id) ?? this.#conversation;
  }
}
