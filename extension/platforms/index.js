/** The extractors, by the value of a platform's `final_message`. */
import * as chatgpt from "./chatgpt.js";
import * as claude from "./claude.js";
import * as gemini from "./gemini.js";

export { endpoint } from "./endpoint.js";

const EXTRACTORS = new Map([
  ["chatgpt", chatgpt],
  ["claude", claude],
  ["gemini", gemini],
]);

/**
 * Returns the module that reads a platform's traffic.
 * @param {string} name a platform's `final_message`; "" for none
 * @returns {{watches: Function, extractor: Function, account: Function, promptPlace?: Function} | null} `promptPlace` if
 *   the path of a prompt is known
 */
export function extractorFor(name) {
  return EXTRACTORS.get(name) ?? null;
}
