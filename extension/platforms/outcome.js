/**
 * What reading an answer comes to, and what every reader shares.
 *
 * There are three outcomes: a message (complete, once), nothing (understood,
 * but no finished answer), and drift (not understood, never guessed at).
 */
import { TooLarge } from "./event-stream.js";

/** How many characters of one answer are kept; more is drift. */
export const MAX_TEXT = 4 * 1024 * 1024;

/** Thrown within a reader when the traffic is not as it should be. */
export class Drift extends Error {}

/**
 * A finished answer.
 * @param {{conversationId?: string | null, messageId?: string | null, text: string}} answer
 */
export function message({ conversationId, messageId, text }) {
  if (text.trim() === "") return nothing("empty");
  const found = { raw_text: text };
  if (isId(conversationId)) found.conversation_id = conversationId;
  if (isId(messageId)) found.assistant_message_id = messageId;
  return { message: found };
}

/** Understood, but no finished answer. */
export function nothing(reason) {
  return { nothing: reason };
}

/** Is this usable as an id? */
export function isId(value) {
  return typeof value === "string" && /^[A-Za-z0-9._:-]{1,200}$/.test(value);
}

/** Is this an object, not an array and not null? */
export function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value of a JSON text, or undefined. */
export function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The path of an address, or "" for what is none. */
export function pathOf(url) {
  try {
    return new URL(url, "https://page.invalid/").pathname;
  } catch {
    return "";
  }
}

/**
 * Makes the reader of one answer out of what a platform knows. Whatever fails
 * inside becomes drift; the page's code never sees an error.
 * @param {{push: (text: string) => void, end: (complete: boolean) => object}} reader
 */
export function guarded({ push, end }) {
  let reader = { push, end };
  const keepsBeginning = beginning();
  let drift = null;
  let outcome = null;
  const attempt = (step) => {
    try {
      return step();
    } catch (error) {
      drift = reasonOf(error);
      reader = null; // and all it kept
      return null;
    }
  };
  return {
    /** @param {string} text decoded text, cut anywhere */
    push(text) {
      if (drift !== null || outcome !== null) return;
      keepsBeginning.add(text);
      attempt(() => reader.push(text));
    },
    /** @param {boolean} complete the answer ended by itself, not by an error or an abort */
    end(complete) {
      if (outcome !== null) return nothing("ended");
      const found = drift === null ? attempt(() => reader.end(complete)) : null;
      outcome = drift === null ? found : { drift };
      if (outcome.drift !== undefined) outcome = keepsBeginning.refusal() ?? outcome;
      return outcome;
    },
  };
}

function reasonOf(error) {
  if (error instanceof TooLarge) return "too_large";
  return error instanceof Drift ? error.message : "reader_failed";
}

/** Keeps how an answer begins: a short JSON object telling of an error is understood. */
function beginning() {
  const limit = 16 * 1024;
  let text = "";
  let whole = true;
  return {
    add(piece) {
      if (whole && text.length + piece.length <= limit) text += piece;
      else whole = false;
    },
    refusal() {
      const value = whole ? parsed(text) : undefined;
      const refused = isObject(value) && ["error", "detail"].some((key) => Object.hasOwn(value, key));
      return refused ? nothing("error") : null;
    },
  };
}
