/** What one of ChatGPT's messages is: whose, for whom, finished or not, and its text. */
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
 * Is this the assistant's answer to the user, or on its way to be?
 * @param {object} message
 * @returns {boolean}
 * @throws {Drift} when it does not look like a message
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
 * Does a sign say that this message is whole?
 * @param {object} message
 * @param {boolean} closed the stream itself said that it is over
 */
export function isFinished(message, closed) {
  const metadata = isObject(message.metadata) ? message.metadata : {};
  if (message.end_turn === true || metadata.is_complete === true || isObject(metadata.finish_details)) return true;
  // A finished message that does not end the turn is an announcement, unless nothing came after it.
  return FINISHED.has(message.status) && (message.end_turn !== false || closed);
}

/**
 * The text of an answer.
 * @param {object} message
 * @returns {string}
 * @throws {Drift} when its content is of an unknown kind
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
