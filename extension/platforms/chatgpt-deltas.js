/**
 * ChatGPT's delta encoding "v1": operations on paths of documents. A delta omits what did not change: `{"v": "text"}`
 * continues with the last path, operation and document.
 */
import { TooLarge } from "./event-stream.js";
import { Drift, MAX_TEXT, isObject } from "./outcome.js";

const MAX_DOCUMENTS = 256;
const MAX_STEPS = 16;

/** Paths whose values affect which message is the answer, or its text. */
const MATTERS = /^($|\/message$|\/message\/(content|status|end_turn|recipient|channel|author|id)(\/|$))/;

/** Whether this object is a delta, not a typed line or a snapshot. */
export function isDelta(value) {
  return Object.hasOwn(value, "v") && !Object.hasOwn(value, "type");
}

/** The documents of one stream. */
export class DeltaDocuments {
  #documents = new Map();
  #sizes = new Map();
  #size = 0;
  #path = "";
  #operation = "add";
  #current = 0;

  /**
   * Applies one operation of the stream.
   * @param {object} delta `{p?, o?, v, c?}`
   * @param {number} length length of the operation as text
   * @returns {object} the changed document
   * @throws {Drift | TooLarge}
   */
  apply(delta, length) {
    if (Object.hasOwn(delta, "c")) this.#current = whole(delta.c);
    if (Object.hasOwn(delta, "p")) this.#path = text(delta.p);
    if (Object.hasOwn(delta, "o")) this.#operation = text(delta.o);
    const isWhole = this.#path === "" && (this.#operation === "add" || this.#operation === "replace");
    this.#account(length, isWhole);
    if (isWhole) {
      if (!isObject(delta.v)) throw new Drift("delta_document_shape");
      this.#documents.set(this.#current, delta.v);
    } else {
      const document = this.#documents.get(this.#current);
      if (document === undefined) throw new Drift("delta_without_document");
      change(document, this.#path, this.#operation, delta.v);
    }
    return this.#documents.get(this.#current);
  }

  /** Counts the text that the documents keep. */
  #account(length, isWhole) {
    const before = this.#sizes.get(this.#current) ?? 0;
    const after = isWhole ? length : before + length;
    this.#sizes.set(this.#current, after);
    this.#size += after - before;
    if (this.#size > MAX_KEPT || this.#sizes.size > MAX_DOCUMENTS) throw new TooLarge();
  }
}

/** Most text of operations; they are longer than the text they contain. */
const MAX_KEPT = MAX_TEXT * 4;

function change(document, path, operation, value) {
  if (operation === "patch") {
    if (!Array.isArray(value)) throw new Drift("delta_patch_shape");
    for (const step of value) {
      if (!isObject(step)) throw new Drift("delta_patch_shape");
      change(document, path + text(step.p ?? ""), text(step.o), step.v);
    }
    return;
  }
  const keys = path.split("/").slice(1).map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));
  const last = keys.pop();
  const holder = walk(document, keys);
  const known = Object.hasOwn(CHANGES, operation);
  if (!known || holder === null || last === undefined || !CHANGES[operation](holder, last, value)) {
    if (MATTERS.test(path)) throw new Drift(known ? "delta_path" : "delta_operation");
  }
}

function walk(document, keys) {
  if (keys.length > MAX_STEPS) return null;
  let at = document;
  for (const key of keys) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, key)) return null;
    at = at[key];
  }
  return typeof at === "object" ? at : null;
}

/** The operations; each returns whether it could be applied. */
const CHANGES = {
  add(holder, key, value) {
    return set(holder, key, value);
  },
  replace(holder, key, value) {
    return set(holder, key, value);
  },
  append(holder, key, value) {
    const old = Object.hasOwn(holder, key) ? holder[key] : undefined;
    if (old === undefined || old === null) return set(holder, key, value);
    if (typeof old === "string") return typeof value === "string" && set(holder, key, old + value);
    if (Array.isArray(old)) return set(holder, key, old.concat(value));
    return isObject(old) && isObject(value) && set(holder, key, { ...old, ...value });
  },
};

function set(holder, key, value) {
  if (Array.isArray(holder)) {
    const index = key === "-" ? holder.length : Number(key);
    if (!Number.isInteger(index) || index < 0 || index > holder.length) return false;
    holder[index] = value;
    return true;
  }
  if (key === "__proto__") return false;
  holder[key] = value;
  return true;
}

function text(value) {
  if (typeof value !== "string") throw new Drift("delta_shape");
  return value;
}

function whole(value) {
  if (!Number.isInteger(value)) throw new Drift("delta_shape");
  return value;
}
