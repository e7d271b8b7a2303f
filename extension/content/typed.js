/**
 * Isolated content script: keeps the latest texts that the user typed and sent, to find them in a request of the page.
 * The texts do not leave this script; only their paths in a request do.
 */
(() => {
  /** Most texts, how long they are kept, and the longest. */
  const TEXTS_MAX = 4;
  const KEPT_MS = 30_000;
  const CHARS_MAX = 512 * 1024;
  /** Most paths of an answer, and most levels that are searched. */
  const PLACES_MAX = 9;
  const DEPTH_MAX = 100;
  const FIELDS = new Set(["text", "search", ""]);

  let field = null;
  const texts = [];

  /** Normalizes white space, in which apps and browsers differ. */
  const plain = (text) => text.replace(/[\u200b\ufeff]/g, "").replace(/\s+/g, " ").trim();

  /** Returns the text field of an event; never a password field. */
  function fieldOf(event) {
    const [target] = event.composedPath();
    if (target?.localName === "textarea") return target;
    if (target?.localName === "input") return FIELDS.has(target.type) ? target : null;
    return target?.isContentEditable ? hostOf(target) : null;
  }

  function hostOf(element) {
    let host = element;
    while (host.parentElement?.isContentEditable) host = host.parentElement;
    return host;
  }

  /** Keeps the text of the field, because the user's action may send it. */
  function commit() {
    if (field === null) return;
    const text = plain(field.value ?? field.innerText ?? "");
    if (text === "" || text.length > CHARS_MAX) return;
    const at = texts.findIndex((each) => each.text === text);
    if (at >= 0) texts.splice(at, 1);
    texts.unshift({ text, at: Date.now() });
    texts.length = Math.min(texts.length, TEXTS_MAX);
  }

  const listen = (type, act) => addEventListener(type, (event) => event.isTrusted && act(event), { capture: true, passive: true });
  listen("input", (event) => {
    field = fieldOf(event);
    // Texts typed before a password belong to a login.
    if (event.composedPath()[0]?.type === "password") texts.length = 0;
  });
  listen("keydown", (event) => event.key === "Enter" && commit());
  for (const type of ["pointerdown", "click", "submit"]) listen(type, commit);

  function structured(text) {
    if (!/^\s*["[{]/.test(text)) return undefined;
    try {
      return JSON.parse(text);
    } catch {
      return undefined;
    }
  }

  /** Adds the paths at which `wanted` occurs in a value, also within strings that are JSON. */
  function find(value, wanted, path, found) {
    if (path.length > DEPTH_MAX || found.length >= PLACES_MAX) return;
    if (typeof value === "string") {
      if (plain(value) === wanted) found.push(path);
      else within(structured(value), wanted, path, found);
    } else {
      within(value, wanted, path, found);
    }
  }

  function within(value, wanted, path, found) {
    if (typeof value === "string") find(value, wanted, path, found);
    else if (Array.isArray(value)) value.forEach((each, i) => find(each, wanted, [...path, i], found));
    else if (value !== null && typeof value === "object") for (const key of Object.keys(value)) find(value[key], wanted, [...path, key], found);
  }

  function pathsOf(wanted, body, type) {
    const found = [];
    const value = structured(body);
    if (value !== undefined) {
      within(value, wanted, [], found);
    } else if (/^application\/x-www-form-urlencoded\b/i.test(type ?? "")) {
      const seen = new Map();
      for (const [name, text] of new URLSearchParams(body)) {
        const count = seen.get(name) ?? 0;
        seen.set(name, count + 1);
        find(text, wanted, count === 0 ? [name] : [name, count], found);
      }
    } else {
      find(body, wanted, [], found);
    }
    return found;
  }

  /** Returns the answer to the background's question for the paths of typed text in a body. */
  globalThis.baaTyped = ({ n, body, type }) => {
    while (texts.length > 0 && Date.now() - texts.at(-1).at > KEPT_MS) texts.pop();
    for (const [i, { text }] of texts.entries()) {
      const places = pathsOf(text, body, type);
      if (places.length === 0) continue;
      // The first request with the text is the send; later ones, such as naming the conversation, are not.
      texts.splice(i, 1);
      return { t: "typed", n, places };
    }
    return { t: "typed", n, places: [] };
  };
})();
