/**
 * Names an endpoint without the ids in it, so that the name shows which part of an app was used, but no private value.
 */
import { pathOf } from "./outcome.js";

/** The longest name, in characters. */
export const MAX_ENDPOINT = 300;

const ID = "{id}";
const LONGEST_SEGMENT = 64;
const LONGEST_WORD = 32;

/**
 * "METHOD /path" with ids, numbers, hashes and the like replaced by `{id}`.
 * @param {string} method
 * @param {string} url absolute, or relative to the page
 * @returns {string} at most 300 characters, without query and fragment
 */
export function endpoint(method, url) {
  const verb = /^[A-Za-z]{1,20}$/.test(method) ? method.toUpperCase() : "GET";
  const path = pathOf(url) || "/";
  const named = path.split("/").map((segment) => (isName(segment) ? segment : ID)).join("/");
  return shortened(`${verb} ${named}`);
}

/** Truncates a name between two segments. */
function shortened(name) {
  if (name.length <= MAX_ENDPOINT) return name;
  const cut = name.lastIndexOf("/", MAX_ENDPOINT);
  return name.slice(0, cut);
}

/** Whether a segment is a name rather than a value. */
function isName(segment) {
  if (segment === "") return true;
  if (segment.length > LONGEST_SEGMENT) return false;
  if (/^v\d{1,2}((alpha|beta)\d{0,2})?$/i.test(segment)) return true;
  if (!/^[A-Za-z0-9._:$-]+$/.test(segment)) return false;
  return segment.split(/[._:$-]/).every(isWord);
}

/** Whether this is a word of letters, possibly with one digit at its end (`oauth2`). */
function isWord(word) {
  if (word === "") return true;
  const letters = /^([A-Za-z]{3,})\d?$/.exec(word)?.[1] ?? (/^[A-Za-z]+$/.test(word) ? word : "");
  if (letters === "" || letters.length > LONGEST_WORD) return false;
  if (letters.length >= 8 && /^[a-f]+$/i.test(letters)) return false;
  return !looksEncoded(letters);
}

/** Whether the case of the letters changes more often than in camel case. */
function looksEncoded(letters) {
  const rises = letters.match(/[a-z](?=[A-Z])/g)?.length ?? 0;
  return letters.length >= 10 && rises * 5 > letters.length;
}
