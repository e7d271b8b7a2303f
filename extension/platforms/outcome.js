/**
 * The outcomes of reading an answer, and helpers that all readers share.
 *
 * There are three outcomes: a message (a complete answer), nothing (understood, but no finished answer), and drift (not
 * understood).
 */
import { TooLarge } from "./event-stream.js";

/** Most characters of one answer; more is a drift. */
export const MAX_TEXT = 4 * 1024 * 1024;

/** Thrown by a reader for an unknown format; the message is the reason. */
export class Drift extends Error {}

/**
 * Returns the outcome of a finished answer.
 * @param {{conversationId?: string | null, messageId?: string | null, text: string}} answer
 */
export function message({ conversationId, messageId, text }) {
  if (text.trim() === "") return nothing("empty");
  const found = { raw_text: text };
  if (isId(conversationId)) found.conversation_id = conversationId;
  if (isId(messageId)) found.assistant_message_id = messageId;
  return { message: found };
}

/** Returns the outcome of an answer that is understood but not finished. */
export function nothing(reason) {
  return { nothing: reason };
}

/** Whether this is a valid id. */
export function isId(value) {
  return typeof value === "string" && /^[A-Za-z0-9._:-]{1,200}$/.test(value);
}

/** Whether this is an object, not an array and not null. */
export function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Returns the value of a JSON text, or undefined. */
export function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Returns the path of an address, or "" for an invalid one. */
export function pathOf(url) {
  try {
    return new URL(url, "https://page.invalid/").pathname;
  } catch {
    return "";
  }
}

/**
 * Wraps a platform's reader of one answer: an error inside becomes a drift and does not reach the page.
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
      reader = null; // frees what it kept
      return null;
    }
  };
  return {
    /** @param {string} text decoded text, may be cut anywhere */
    push(text) {
      if (drift !== null || outcome !== null) return;
      keepsBeginning.add(text);
      attempt(() => reader.push(text));
    },
    /** @param {boolean} complete whether the answer ended by itself, not by an error or an abort */
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

/** Keeps the beginning of an answer, because a short JSON object with an error is understood. */
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
