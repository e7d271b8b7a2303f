/**
 * Reads the Gemini app's own traffic.
 *
 * An answer is a sequence of frames (see `frames.js`). Text in later frames replaces earlier text, and no frame marks the
 * last one: only an answer that ended by itself is complete. Thoughts are left out.
 */
import { TooLarge } from "./event-stream.js";
import { FrameReader } from "./frames.js";
import { Drift, MAX_TEXT, guarded, isId, message, nothing, parsed, pathOf } from "./outcome.js";

/** Entries that accompany an answer. */
const METADATA_ENTRIES = new Set(["af.httprm", "di", "e"]);

const GENERATE = /\/assistant\.lamda\.BardFrontendService\/StreamGenerate\/?$/;

/**
 * Whether the answer to this request of the page may contain a final message.
 * @param {{method: string, url: string}} request
 * @returns {boolean}
 */
export function watches({ method, url }) {
  return String(method).toUpperCase() === "POST" && GENERATE.test(pathOf(url));
}

/**
 * Returns a reader of one such answer.
 * @param {{method: string, url: string, requestBody?: string | null, pageUrl?: string}} request
 * @returns {{push: (text: string) => void, end: (complete: boolean) => object}}
 */
export function extractor({ pageUrl }) {
  const answer = new GeminiAnswer(inPage(pageUrl));
  const frames = new FrameReader({ limit: MAX_TEXT * 2, onFrame: (frame) => answer.frame(frame) });
  return guarded({
    push: (text) => frames.push(text),
    end: (complete) => {
      if (!complete) return nothing("unfinished");
      const isCut = frames.end();
      return answer.outcome(isCut);
    },
  });
}

/**
 * Returns null: the app's traffic contains no account.
 * @returns {null}
 */
export function account() {
  return null;
}

/**
 * Returns the path of the prompt in the body of a send, through the form and the JSON in it; null if it has none.
 * @param {string} body a form
 * @returns {(string | number)[] | null}
 */
export function promptPlace(body) {
  const outer = parsed(new URLSearchParams(body).get("f.req") ?? "");
  const inner = Array.isArray(outer) && typeof outer[1] === "string" ? parsed(outer[1]) : undefined;
  const prompt = Array.isArray(inner) && Array.isArray(inner[0]) ? inner[0][0] : undefined;
  return typeof prompt === "string" && prompt.trim() !== "" ? ["f.req", 1, 0, 0] : null;
}

function inPage(url) {
  const id = /\/app\/([^/]+)/.exec(pathOf(url ?? ""))?.[1];
  return isId(id) ? id : null;
}

/** State of the answer after the frames so far. */
class GeminiAnswer {
  #conversation;
  #candidate = null;
  #text = null;
  #failed = false;
  #unknown = false;

  constructor(asked) {
    this.#conversation = asked;
  }

  frame(entries) {
    for (const entry of entries) {
      if (!Array.isArray(entry) || typeof entry[0] !== "string") throw new Drift("frame_entry");
      if (entry[0] === "wrb.fr") this.#readAnswer(entry);
      else if (entry[0] === "er") this.#failed = true;
      else if (!METADATA_ENTRIES.has(entry[0])) this.#unknown = true;
    }
  }

  #readAnswer(entry) {
    const inner = entry.slice(1).find((part) => typeof part === "string" && part.startsWith("["));
    if (inner !== undefined) this.#readInner(parsed(inner));
    else if (typeof entry[2] === "string") throw new Drift("answer_shape");
    else if (Array.isArray(entry[5])) this.#failed = true;
  }

  outcome(isCut) {
    if (isCut) return nothing("unfinished");
    if (this.#failed) return nothing("error");
    if (this.#text === null) {
      if (this.#unknown) throw new Drift("unknown_frames");
      return nothing("no_answer");
    }
    return message({ conversationId: this.#conversation, messageId: this.#candidate, text: this.#text });
  }

  #readInner(value) {
    if (!Array.isArray(value)) throw new Drift("answer_shape");
    const ids = value[1] ?? [];
    if (!Array.isArray(ids)) throw new Drift("answer_ids");
    if (isId(ids[0])) this.#conversation = ids[0];
    const candidates = value[4] ?? [];
    if (!Array.isArray(candidates)) throw new Drift("candidates_shape");
    if (candidates.length > 0) this.#readCandidate(candidates[0]);
  }

  /** Reads the first candidate, which the page shows. */
  #readCandidate(candidate) {
    if (!Array.isArray(candidate)) throw new Drift("candidate_shape");
    const [id, texts] = candidate;
    if (isId(id)) this.#candidate = id;
    if (texts === null || texts === undefined) return; // still thinking
    if (!Array.isArray(texts)) throw new Drift("candidate_text");
    if (texts.length === 0 || texts[0] === null) return;
    if (typeof texts[0] !== "string") throw new Drift("candidate_text");
    if (texts[0].length > MAX_TEXT) throw new TooLarge();
    this.#text = texts[0];
  }
}
