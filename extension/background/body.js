/** Bodies of requests as the original JSON text, because `JSON.parse` may lose digits. Pure. */

/** JSON text that is passed on unchanged. */
export class JsonText {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
  }
}

/** Returns the value and the end of the JSON string that begins at `start`. */
function stringAt(source, start) {
  let end = start + 1;
  while (source[end] !== '"') end += source[end] === "\\" ? 2 : 1;
  return { end: end + 1, value: () => JSON.parse(source.slice(start, end + 1)) };
}

/**
 * Returns the text of a member of the outermost object; of duplicates the last, as in `JSON.parse`.
 * @param {string} source valid JSON, an object
 * @returns {string | undefined}
 */
export function memberText(source, name) {
  let depth = 0;
  let found;
  let key = null;
  let from = -1;
  const member = (end) => {
    if (from >= 0 && key.value() === name) found = source.slice(from, end).trim();
    key = null;
    from = -1;
  };
  for (let i = 0; i < source.length; ) {
    const c = source[i];
    if (c === '"') {
      const string = stringAt(source, i);
      if (depth === 1 && key === null) key = string;
      i = string.end;
      continue;
    }
    if (c === "{" || c === "[") depth += 1;
    else if (c === "}" || c === "]") depth -= 1;
    if (c === ":" && depth === 1) from = i + 1;
    else if ((c === "," && depth === 1) || depth === 0) member(i);
    i += 1;
  }
  return found;
}

/** Returns `frame` with its body as the text in `source`, if it is JSON other than a string. */
export function withRawBody(frame, source) {
  const { body } = frame;
  if (typeof body !== "object" && typeof body !== "number") return frame;
  return body === null ? frame : { ...frame, body: new JsonText(memberText(source, "body")) };
}
