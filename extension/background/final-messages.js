/**
 * Sends final messages to the daemon: each once, also across reloads of the page and restarts of the browser, and later
 * if the daemon is away.
 *
 * The browser's storage keeps digests of the messages seen so far (never their text) and the newest messages that the
 * daemon has not confirmed. A crash or a lost connection can only cause a message to be sent again, which the daemon
 * recognizes; none is lost.
 */
import { finalMessage } from "../wire.js";

/** Most messages that wait for the daemon's confirmation. */
export const MAX_UNSENT = 20;

/** Most connections on which a message is sent before it is given up. */
export const MAX_TRIES = 8;

/** Most digests of messages seen. */
export const MAX_SEEN = 1000;

const KEY = "final_messages";

/** The final messages of this browser. */
export class FinalMessages {
  #storage;
  #send;
  #connection;
  #now;
  #seen = new Set();
  #unsent = [];
  /** Messages of `#unsent` that were sent on the connection `#sentOnConnection`, in order. */
  #sent = new Set();
  #sentOnConnection;
  #loaded = false;
  #queue = Promise.resolve();

  /**
   * @param {object} parts
   * @param {{get: Function, set: Function}} parts.storage `storage.local`
   * @param {(frame: string) => boolean} parts.send sends a frame; returns false, or throws, while disconnected
   * @param {() => unknown} parts.connection identifies the current connection
   * @param {() => number} parts.now milliseconds since 1970
   */
  constructor({ storage, send, connection, now }) {
    this.#storage = storage;
    this.#send = send;
    this.#connection = connection;
    this.#now = now;
  }

  /**
   * Sends a final message, or keeps it until the next `flush`.
   * @param {{platform: string, conversation_id?: string, assistant_message_id?: string, raw_text: string}} message
   * @returns {Promise<"sent" | "kept" | "known" | "empty">}
   */
  observed(message) {
    const observed_at = this.#now();
    return this.#serialize(() => this.#take(message, observed_at));
  }

  /**
   * Sends the unconfirmed messages that were not sent on this connection, oldest first. Called after each `hello_ack`.
   * @returns {Promise<number>} the number of messages sent
   */
  flush() {
    return this.#serialize(async () => {
      await this.#load();
      return this.#sendWaiting();
    });
  }

  /**
   * Removes the messages that the daemon lists in a `state_snapshot`, and those sent before them on the same connection,
   * because the daemon handles its frames in order.
   * @param {{platform: string, assistant_message_id: string, raw_length: number, conversation_id?: string}[]} known
   */
  confirmed(known) {
    return this.#serialize(async () => {
      const shown = listOf(known, (entry) => typeof entry?.assistant_message_id === "string");
      const sent = [...this.#sent];
      const arrived = sent.slice(0, 1 + sent.findLastIndex((message) => shown.some((entry) => isSame(message, entry))));
      if (arrived.length === 0) return;
      for (const message of arrived) this.#sent.delete(message);
      this.#unsent = this.#unsent.filter((message) => !arrived.includes(message));
      await this.#save();
    });
  }

  /** Number of unconfirmed messages. */
  get waiting() {
    return this.#unsent.length;
  }

  /** Runs steps one after the other, so that none misses what another stores. */
  #serialize(step) {
    const done = this.#queue.then(step);
    this.#queue = done.catch(() => {});
    return done;
  }

  async #take({ platform, conversation_id, assistant_message_id, raw_text }, observed_at) {
    if (typeof raw_text !== "string" || raw_text === "") return "empty";
    const id = assistant_message_id || (await syntheticId(platform, conversation_id, raw_text));
    const digest = (await sha256(["message", platform, id, raw_text])).slice(0, 32);
    await this.#load();
    if (this.#seen.has(digest)) return "known";
    this.#remember(digest);
    const message = { platform, assistant_message_id: id, raw_text, conversation_id, observed_at };
    this.#unsent.push(message);
    for (const message of this.#unsent.splice(0, this.#unsent.length - MAX_UNSENT)) this.#sent.delete(message);
    await this.#save();
    await this.#sendWaiting();
    return this.#sent.has(message) ? "sent" : "kept";
  }

  #remember(digest) {
    this.#seen.add(digest);
    for (const oldest of this.#seen) {
      if (this.#seen.size <= MAX_SEEN) break;
      this.#seen.delete(oldest);
    }
  }

  async #sendWaiting() {
    let sent = 0;
    const connection = this.#connection();
    if (connection !== this.#sentOnConnection) {
      // What was sent on another connection may not have arrived.
      this.#sentOnConnection = connection;
      this.#sent.clear();
      this.#unsent = this.#unsent.filter(({ tries = 0 }) => tries < MAX_TRIES);
    }
    for (const message of this.#unsent.filter((each) => !this.#sent.has(each))) {
      if (!this.#trySend(message)) break;
      this.#sent.add(message);
      message.tries = (message.tries ?? 0) + 1;
      sent += 1;
    }
    if (sent > 0) await this.#save();
    return sent;
  }

  #trySend(message) {
    try {
      return this.#send(finalMessage(message)) === true;
    } catch {
      return false;
    }
  }

  /** Reads the storage, and adds messages that came before it could be read. */
  async #load() {
    if (this.#loaded) return;
    let stored;
    try {
      stored = (await this.#storage.get(KEY))?.[KEY];
    } catch {
      return; // retried next time; nothing is overwritten until then
    }
    this.#loaded = true;
    const taken = [...this.#seen];
    this.#seen = new Set(listOf(stored?.seen, (digest) => typeof digest === "string").slice(-MAX_SEEN));
    for (const digest of taken) this.#remember(digest);
    this.#unsent = [...listOf(stored?.unsent, isMessage), ...this.#unsent].slice(-MAX_UNSENT);
  }

  async #save() {
    if (!this.#loaded) return;
    try {
      await this.#storage.set({ [KEY]: { seen: [...this.#seen], unsent: this.#unsent } });
    } catch {
      // The storage is full or broken: the messages stay in memory, and the next change retries.
    }
  }
}

/**
 * Returns the id of a message that has none.
 * @param {string} platform
 * @param {string | undefined} conversation
 * @param {string} text
 * @returns {Promise<string>} `synthetic_` and 64 hex digits
 */
export async function syntheticId(platform, conversation, text) {
  return `synthetic_${await sha256([platform, conversation ?? "", text])}`;
}

async function sha256(parts) {
  const bytes = new TextEncoder().encode(JSON.stringify(parts));
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Whether an entry of the daemon is this message; entries have the length of the text in characters, not the text. */
function isSame(message, entry) {
  return (
    entry.platform === message.platform &&
    entry.assistant_message_id === message.assistant_message_id &&
    (entry.conversation_id ?? null) === (message.conversation_id ?? null) &&
    entry.raw_length === [...message.raw_text].length
  );
}

function listOf(value, isRight) {
  return Array.isArray(value) ? value.filter(isRight) : [];
}

function isMessage(value) {
  return ["platform", "assistant_message_id", "raw_text"].every((key) => typeof value?.[key] === "string");
}
