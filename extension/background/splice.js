/**
 * Splits the text of a request's body at some of its values, and joins it with other values. The rest of the text stays
 * unchanged, digit by digit; inserted values are escaped for their place, so that none can change the structure. Pure.
 *
 * A value is found by its path of keys and indexes, which also leads through JSON that is a string within JSON or a form:
 * `["f.req", 1, 0]` is the first element of the JSON text that is the second element of the field `f.req`.
 */

/** Most levels of JSON as strings within JSON, and most levels of nesting. */
const TEXTS_MAX = 4;
const DEPTH_MAX = 100;

const formEncoded = (text) => new URLSearchParams([["", text]]).toString().slice(1);
const CODINGS = { json: (text) => JSON.stringify(text).slice(1, -1), form: formEncoded };

/** Encodes `text` with these codings, the innermost first. */
const encode = (coding, text) => coding.reduce((coded, each) => CODINGS[each](coded), text);

/** Thrown for a text that cannot be split. */
class NotSplittable extends Error {}

/** Returns the value of a JSON string, object or array; undefined for anything else. */
function structured(text) {
  if (!/^\s*["[{]/.test(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Whether a content type is a URL-encoded form. */
export const isForm = (type) => /^application\/x-www-form-urlencoded\b/i.test(type ?? "");

/**
 * Splits `text`.
 * @param {string} text
 * @param {string | undefined} type its content type
 * @param {(path: (string | number)[], value: string | number) => object | undefined} mark returns the slot that replaces
 *   a string or number; undefined keeps the value
 * @returns {(string | {coding: string[]})[] | null} the pieces; objects are the slots that `mark` returned
 */
export function splitBody(text, type, mark) {
  try {
    if (structured(text) !== undefined) return joined(json(text, { path: [], coding: [], texts: 0 }, mark));
    if (isForm(type)) return joined(form(text, mark));
    const slot = mark([], text);
    return slot === undefined ? [text] : [{ ...slot, coding: [] }];
  } catch (error) {
    if (error instanceof NotSplittable || error instanceof URIError) return null;
    throw error;
  }
}

/** Joins pieces; `value` returns the text of a slot. */
export function joinBody(pieces, value) {
  return pieces.map((piece) => (typeof piece === "string" ? piece : encode(piece.coding, value(piece)))).join("");
}

/** Returns the pieces of a string that is JSON, if `mark` replaces something in it. */
function nested(text, at, mark) {
  if (at.texts > TEXTS_MAX || structured(text) === undefined) return null;
  const pieces = json(text, { ...at, texts: at.texts + 1 }, mark);
  return pieces.some((piece) => typeof piece !== "string") ? pieces : null;
}

function form(text, mark) {
  const seen = new Map();
  return text.split("&").flatMap((pair, i) => {
    const [, name, value = ""] = /^([^=]*)(?:=(.*))?$/s.exec(pair);
    const before = i === 0 ? "" : "&";
    const [key, plain] = [name, value].map((part) => decodeURIComponent(part.replaceAll("+", " ")));
    const count = seen.get(key) ?? 0;
    seen.set(key, count + 1);
    const path = count === 0 ? [key] : [key, count];
    const slot = mark(path, plain);
    const coding = ["form"];
    const inner = slot === undefined ? nested(plain, { path, coding, texts: 0 }, mark) : [{ ...slot, coding }];
    return inner === null ? [before + pair] : [`${before}${name}=`, ...inner];
  });
}

function endOfString(text, start) {
  let end = start + 1;
  while (text[end] !== '"') end += text[end] === "\\" ? 2 : 1;
  return end + 1;
}

/** Splits valid JSON; keys and values are distinguished by commas and brackets. */
function json(text, { path, coding, texts }, mark) {
  const pieces = [];
  const open = [];
  let from = 0;
  const cut = (start, inner, end) => {
    pieces.push(encode(coding, text.slice(from, start)), ...inner);
    from = end;
  };
  const leaf = (start, end, value) => {
    const here = [...path, ...open.map(({ key }) => key)];
    const slot = mark(here, value);
    if (typeof value === "number") {
      if (slot !== undefined) cut(start, [{ ...slot, coding }], end);
      return;
    }
    const within = ["json", ...coding];
    const inner = slot === undefined ? nested(value, { path: here, coding: within, texts }, mark) : [{ ...slot, coding: within }];
    if (inner !== null) cut(start + 1, inner, end - 1);
  };
  const number = /-?\d[\d.eE+-]*/y;
  for (let i = 0; i < text.length; ) {
    const c = text[i];
    const top = open.at(-1);
    if (c === '"') {
      const end = endOfString(text, i);
      const value = JSON.parse(text.slice(i, end));
      if (top?.key === null) top.key = value;
      else leaf(i, end, value);
      i = end;
      continue;
    }
    number.lastIndex = i;
    const digits = number.exec(text)?.[0];
    if (digits !== undefined) {
      leaf(i, i + digits.length, Number(digits));
      i += digits.length;
      continue;
    }
    if (c === "{") open.push({ key: null });
    else if (c === "[") open.push({ key: 0 });
    else if (c === "}" || c === "]") open.pop();
    else if (c === ",") top.key = typeof top.key === "number" ? top.key + 1 : null;
    if (open.length > DEPTH_MAX) throw new NotSplittable();
    i += 1;
  }
  pieces.push(encode(coding, text.slice(from)));
  return pieces;
}

/** Joins adjacent texts. */
function joined(pieces) {
  const found = [];
  for (const piece of pieces) {
    if (typeof piece === "string" && typeof found.at(-1) === "string") found[found.length - 1] += piece;
    else found.push(piece);
  }
  return found;
}
