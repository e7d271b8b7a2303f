/** Reads a ChatGPT message: whether it is an answer, whether it is finished, and its text. */
import { Drift, isObject } from "./outcome.js";

const FINISHED = new Set(["finished_successfully", "finished", "completed", "incomplete", "max_tokens", "stopped"]);

/** Kinds of content that are work on the way to an answer. */
const NOT_TEXT = new Set([
  "code",
  "execution_output",
  "model_editable_context",
  "reasoning_recap",
  "sonic_webpage",
  "system_error",
  "tether_browsing_display",
  "tether_quote",
  "thoughts",
  "user_editable_context",
]);

/**
 * Whether this is the assistant's answer to the user, or may become it.
 * @param {object} message
 * @returns {boolean}
 * @throws {Drift} if it is not a known form of message
 */
export function isAnswer(message) {
  const role = isObject(message.author) ? message.author.role : undefined;
  if (typeof role !== "string") throw new Drift("message_author");
  if (role !== "assistant") return false;
  if (!isNothing(message.channel) && message.channel !== "final") return false;
  if (!isNothing(message.recipient) && message.recipient !== "all") return false;
  if (isHidden(message.metadata)) return false;
  if (!isObject(message.content)) throw new Drift("message_content");
  return !NOT_TEXT.has(message.content.content_type);
}

/**
 * Whether the message is complete.
 * @param {object} message
 * @param {boolean} closed whether the stream contained its end
 */
export function isFinished(message, closed) {
  const metadata = isObject(message.metadata) ? message.metadata : {};
  if (message.end_turn === true || metadata.is_complete === true || isObject(metadata.finish_details)) return true;
  // A finished message that does not end the turn is a preamble, unless the stream ends with it.
  return FINISHED.has(message.status) && (message.end_turn !== false || closed);
}

/**
 * Returns the text of an answer.
 * @param {object} message
 * @returns {string}
 * @throws {Drift} if its content is of an unknown kind
 */
export function textOf({ content }) {
  const { content_type: kind, parts } = content;
  if ((kind !== "text" && kind !== "multimodal_text") || !Array.isArray(parts)) throw new Drift("content_type");
  const texts = parts.filter((part) => typeof part === "string");
  if (kind === "text" && texts.length !== parts.length) throw new Drift("content_parts");
  return texts.join("");
}

function isHidden(metadata) {
  if (!isObject(metadata)) return false;
  return Object.keys(metadata).some((key) => /(^|_)hidden(_|$)/.test(key) && metadata[key] === true);
}

function isNothing(value) {
  return value === undefined || value === null;
}
