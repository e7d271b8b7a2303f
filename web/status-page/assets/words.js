/** Formats numbers, times and foreign text for people. Pure. */
import { COMBINING, HIDDEN } from "./characters.js";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A span of time, rounded down: "850 ms", "41 s", "3 min", "2 h 5 min", "3 d". */
export function span(ms) {
  if (ms < SECOND) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)} s`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min`;
  if (ms < DAY) {
    const minutes = Math.floor((ms % HOUR) / MINUTE);
    return `${Math.floor(ms / HOUR)} h${minutes === 0 ? "" : ` ${minutes} min`}`;
  }
  return `${Math.floor(ms / DAY)} d`;
}

/** How long something took, with as many digits as matter: "12 ms", "1.24 s", "41.2 s", "3 min 5 s". */
export function took(ms) {
  if (ms < SECOND) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 10 * SECOND) return `${(ms / SECOND).toFixed(2)} s`;
  if (ms < MINUTE) return `${(ms / SECOND).toFixed(1)} s`;
  return `${Math.floor(ms / MINUTE)} min ${Math.floor((ms % MINUTE) / SECOND)} s`;
}

/** What is left until then, in whole seconds rounded up; never less than one. */
export const left = (until, now) => span(Math.max(SECOND, Math.ceil((until - now) / SECOND) * SECOND));

/** How long ago something was; what has just been, or is to be, is "just now". */
export const ago = (at, now) => (now - at < 5 * SECOND ? "just now" : `${span(now - at)} ago`);

/** "1 request", "2 requests". */
export const count = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;

/** A code as words. */
export const spoken = (code) => String(code).replaceAll("_", " ");

/** An error of the policy or the journal as people know it: a status is known as one. */
export const error = (code) => (/^http_\d{3}$/.test(code) ? `HTTP ${code.slice(5)}` : spoken(code));

/** Bytes, in the unit that fits. */
export function bytes(number) {
  if (number < 1_024) return `${number} B`;
  if (number < 1_024 ** 2) return `${(number / 1_024).toFixed(1)} KiB`;
  return `${(number / 1_024 ** 2).toFixed(1)} MiB`;
}

/** Stands around what was counted; where it comes from elsewhere it is spelled out itself. */
const COUNT = "␣";
/** Most that is shown as it is: blanks in a row, empty lines in a row, times one hidden character is spelled, marks on one. */
const MOST = { blanks: 32, emptyLines: 2, spelled: 8, marks: 4 };

/** A class of characters for a regular expression, from a list of the table. */
const classOf = (list) => list.trim().split(/\s+/).map((range) => range.split("-").map((code) => `\\u{${code}}`).join("-")).join("");
const IS_HIDDEN = new RegExp(`[${classOf(HIDDEN)}]`, "u");
const IS_COMBINING = new RegExp(`[${classOf(COMBINING)}]`, "u");

const SHORT = { "\t": "\\t", "\n": "\\n", "\r": "\\r" };
const spell = (mark) => SHORT[mark] ?? `\\u{${mark.codePointAt(0).toString(16)}}`;
const times = (mark, number) => (number > MOST.spelled ? `${spell(mark)}${COUNT}${number} times${COUNT}` : spell(mark).repeat(number));

/** One line in which nothing is hidden. `toTheEnd`: blanks at its end are counted too. */
function spelled(text, toTheEnd) {
  let out = "";
  // How many marks the character before carries; null where there is none that could carry one.
  let carried = null;
  const characters = [...text];
  for (let at = 0; at < characters.length; ) {
    const character = characters[at];
    let end = at + 1;
    while (characters[end] === character) end += 1;
    const isMark = IS_COMBINING.test(character);
    const tooMany = isMark && (carried === null || carried >= MOST.marks);
    if (character === " ") {
      const number = end - at;
      const isCounted = number > MOST.blanks || (toTheEnd && end === characters.length);
      out += isCounted ? `${COUNT}${number} ${number === 1 ? "blank" : "blanks"}${COUNT}` : " ".repeat(number);
      carried = null;
      at = end;
    } else if (character === COUNT || IS_HIDDEN.test(character) || tooMany) {
      out += times(character, end - at);
      if (!tooMany) carried = 0;
      at = end;
    } else {
      out += character;
      if (!isMark) carried = 0;
      else carried += 1;
      at += 1;
    }
  }
  return out;
}

/** The lines of a text that is decided on, with nothing hidden: each shows every character of it. */
export function lines(text) {
  const all = text.replace(/\n$/, "").split("\n");
  const shown = [];
  for (let at = 0; at < all.length; ) {
    let end = at;
    while (end < all.length && /^ *$/.test(all[end])) end += 1;
    const run = all.slice(at, Math.max(end, at + 1));
    if (end - at > MOST.emptyLines) shown.push(`${COUNT}${end - at} ${run.every((one) => one === "") ? "empty lines" : "lines of blanks"}${COUNT}`);
    else shown.push(...run.map((one) => spelled(one, true)));
    at += run.length;
  }
  return shown;
}

/** The same as one text. */
export const plain = (text) => lines(text).join("\n");

/** What is put into the page, once more: nothing hidden but line ends, whatever was done to it before. */
export function guarded(text) {
  if (/^[ -~\n]*$/.test(text)) return text;
  return [...text].map((character) => (character !== "\n" && IS_HIDDEN.test(character) ? spell(character) : character)).join("");
}

/** A text on one line. */
export const line = (text) => spelled(String(text), false);
