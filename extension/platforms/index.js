/** The platforms whose own traffic is understood. */
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
 * The module that understands a platform's traffic.
 * @param {string} name a platform's `final_message`; "" is none
 * @returns {{watches: Function, extractor: Function, account: Function, promptPlace?: Function} | null} `promptPlace` where a
 *   prompt can be found without knowing what the user typed
 */
export function extractorFor(name) {
  return EXTRACTORS.get(name) ?? null;
}
