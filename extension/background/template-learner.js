/**
 * Learns prompt templates from the user's own sends in a page. Requests are observed by `webRequest`, which scripts of the
 * page cannot forge. The path of the prompt in the body is known for some apps; for others `content/typed.js` finds it,
 * and the typed text stays there.
 */
import { isRequestOfShell, isShellPage, isShellSender } from "./shell.js";
import { makeTemplate, pathsOfSameText } from "./template.js";

/** Most requests that are tracked at a time, and the largest body. */
const SENDS_MAX = 32;
const SENT_BYTES_MAX = 1 << 20;
const WRITES = new Set(["POST", "PUT", "PATCH"]);

const sum = (lengths) => lengths.reduce((all, length) => all + length, 0);

/** Returns the size of a body; infinite with a file in it. */
function sizeOf({ raw, formData }) {
  if (formData) return sum(Object.values(formData).flatMap((values) => values.map((value) => value.length ?? Infinity)));
  return sum((raw ?? []).map(({ bytes }) => bytes?.byteLength ?? Infinity));
}

/** Returns the text of a body, or undefined if it is not UTF-8. */
function textOf({ raw, formData }) {
  if (formData) {
    const pairs = Object.entries(formData).flatMap(([name, values]) => values.map((value) => [name, value]));
    return new URLSearchParams(pairs).toString();
  }
  const decoder = new TextDecoder("utf-8", { fatal: true });
  try {
    return raw.map(({ bytes }) => decoder.decode(bytes, { stream: true })).join("") + decoder.decode();
  } catch {
    return undefined;
  }
}

/** Whether a body of this content type can become a template. */
const isText = (type) => type === undefined || /json|^text\/|^application\/x-www-form-urlencoded/i.test(type);

/** Tracks the requests that pages send. */
export class TemplateLearner {
  #env;
  /** By the browser's request id. */
  #bodies = new Map();
  #sends = new Map();
  #listeners = [];

  /** @param {object} env `webRequest`, `extractorFor(name)`, `port(tabId)`, `learned(name, template)`, `now`, `log` */
  constructor(env) {
    this.#env = env;
  }

  /** Listens to requests that match these patterns. */
  listen(urls) {
    for (const [event, listener] of this.#listeners) event.removeListener(listener);
    this.#listeners = [];
    if (urls.length === 0) return;
    const { onBeforeRequest, onResponseStarted, onErrorOccurred } = this.#env.webRequest;
    const add = (event, listener, ...more) => {
      event.addListener(listener, { urls, types: ["xmlhttprequest"] }, ...more);
      this.#listeners.push([event, listener]);
    };
    add(onBeforeRequest, (details) => this.body(details), ["requestBody"]);
    add(onResponseStarted, ({ requestId, statusCode }) => this.answered(requestId, statusCode));
    add(onErrorOccurred, ({ requestId }) => this.#forget(requestId));
  }

  /** Keeps the body of a request until its headers are known. */
  body({ requestId, method, requestBody }) {
    if (!WRITES.has(method) || !requestBody) return;
    const size = sizeOf(requestBody);
    if (size === 0 || size > SENT_BYTES_MAX) return;
    this.#bodies.set(requestId, requestBody);
    limitSize(this.#bodies);
  }

  /** Handles a request of the platform's own page that is about to be sent. */
  sent(platform, details) {
    const { requestId, tabId, method, url, type, documentUrl: page, requestHeaders = [] } = details;
    const given = this.#bodies.get(requestId);
    this.#bodies.delete(requestId);
    if (given === undefined || type !== "xmlhttprequest" || platform.prompt !== "template") return;
    const contentType = requestHeaders.find(({ name }) => name.toLowerCase() === "content-type")?.value;
    // Other hosts of the platform may belong to other parties.
    if (!isRequestOfShell(platform, details) || !isShellPage(platform, url)) return;
    const knowledge = this.#env.extractorFor(platform.final_message ?? "");
    const isKnown = knowledge?.promptPlace !== undefined;
    if (!isText(contentType) || (isKnown && !knowledge.watches({ method, url }))) return;
    const body = textOf(given);
    if (body === undefined) return;
    const headers = requestHeaders.map(({ name, value }) => ({ name, value }));
    const send = { platform, tabId, call: { method, url, page, headers, body }, at: this.#env.now(), places: null, isTaken: false };
    if (isKnown) {
      const place = knowledge.promptPlace(body);
      if (place === null) return;
      send.places = pathsOfSameText(place, body, contentType);
    } else if (!this.#askForPaths(send, requestId, contentType)) {
      return;
    }
    this.#sends.set(requestId, send);
    limitSize(this.#sends);
  }

  /** Handles the answer of `content/typed.js`: the paths of the typed text in the body. */
  typed(tabId, { n, places }) {
    const send = this.#sends.get(n);
    if (send === undefined || send.tabId !== tabId || send.places !== null) return;
    send.places = Array.isArray(places) ? places.filter(isPath) : [];
    if (send.places.length === 0) this.#sends.delete(n);
    else this.#learn(n, send);
  }

  /** Handles the start of the app's answer. */
  answered(requestId, status) {
    this.#bodies.delete(requestId);
    const send = this.#sends.get(requestId);
    if (send === undefined) return;
    if (status < 200 || status > 299) {
      this.#sends.delete(requestId);
      return;
    }
    send.isTaken = true;
    this.#learn(requestId, send);
  }

  #askForPaths({ platform, tabId, call }, n, type) {
    const port = this.#env.port(tabId);
    if (port === undefined || !isShellSender(platform, port.sender)) return false;
    try {
      port.postMessage(JSON.stringify({ t: "which", n, body: call.body, type }));
    } catch {
      // The page is gone.
      return false;
    }
    return true;
  }

  #learn(requestId, { platform, call, places, isTaken, at }) {
    if (places === null || !isTaken) return;
    this.#sends.delete(requestId);
    const name = platform.platform;
    const { template, fault } = makeTemplate(call, places, at);
    if (template === undefined) this.#env.log("warn", `No prompt template of ${name} was learned from a send: ${fault}.`);
    else this.#env.learned(name, template);
  }

  #forget(requestId) {
    this.#bodies.delete(requestId);
    this.#sends.delete(requestId);
  }
}

const isPath = (path) => Array.isArray(path) && path.every((step) => typeof step === "string" || Number.isInteger(step));

function limitSize(map) {
  if (map.size > SENDS_MAX) map.delete(map.keys().next().value);
}
