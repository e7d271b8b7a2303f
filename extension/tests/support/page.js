/** A web page for `content/page.js`. */
import { readFileSync } from "node:fs";

/** Returns the text of a file of the extension. */
export const source = (file) => readFileSync(new URL(`../../${file}`, import.meta.url), "utf8");
/** Waits until a condition holds. */
export const until = async (holds) => {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
};

/** The part of XMLHttpRequest that `content/page.js` uses. */
export class FakeXhr extends EventTarget {
  responseType = "";
  status = 200;
  getResponseHeader() {
    return "application/json";
  }
}

const OWNERS = [ReadableStream, ReadableStreamDefaultReader, ReadableStreamBYOBReader].map(({ prototype }) => prototype);
const NATIVE = OWNERS.map((owner) => Object.getOwnPropertyDescriptors(owner));
/** Restores the streams' prototypes, which the script wraps. */
const restored = () => OWNERS.forEach((owner, i) => Object.defineProperties(owner, NATIVE[i]));

/** Returns a document before any script of the page has run. */
export const fresh = () => Object.assign(new EventTarget(), { readyState: "loading", scripts: [] });

/** Loads `content/page.js` into a page whose `fetch` is `network`, and records its messages. */
export function load(network) {
  restored();
  const doc = fresh();
  const window = { CustomEvent, AbortController, TextDecoder, URL, Request, Proxy, Object, Promise, fetch: network };
  const timers = [];
  window.setTimeout = (work) => timers.push(work);
  const Xhr = class extends FakeXhr {};
  Xhr.prototype.open = function open() {};
  Xhr.prototype.send = function send() {};
  const responseURL = { configurable: true, get: () => "https://claude.ai/answered" };
  Object.defineProperty(Xhr.prototype, "responseURL", responseURL);
  const run = new Function("window", "document", "location", "XMLHttpRequest", source("content/page.js"));
  run(window, doc, { href: "https://claude.ai/chat/1" }, Xhr);
  const told = [];
  let alive = true;
  doc.addEventListener("secret-out", (event) => {
    if (!alive) return;
    event.preventDefault();
    told.push(JSON.parse(event.detail));
  });
  doc.dispatchEvent(new CustomEvent("baa-conductor-channel", { detail: "secret" }));
  const say = (message) => doc.dispatchEvent(new CustomEvent("secret-in", { detail: JSON.stringify(message) }));
  const kinds = () => told.map(({ t }) => t);
  return { window, doc, told, say, kinds, Xhr, timers, die: () => (alive = false) };
}

/** Returns an answer in pieces; `more.open` leaves it without an end, `more.cancel` is called when it is cancelled. */
export const stream = (pieces, more = {}) =>
  new Response(
    new ReadableStream({
      start(controller) {
        for (const piece of pieces) controller.enqueue(new TextEncoder().encode(piece));
        if (!more.open) controller.close();
      },
      cancel: more.cancel,
    }),
    { headers: { "content-type": "text/event-stream", "x-request-id": "1", "x-secret": "no", "set-cookie": "a=b" } },
  );

/** A request of the background. */
export const FETCH = { t: "fetch", id: "r", url: "https://claude.ai/api/x", method: "POST", headers: { "x-a": "1" }, body: "{}", max: 0 };
