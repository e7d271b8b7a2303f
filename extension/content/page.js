/**
 * The half in the page's own world: performs requests as the page would, and looks on while the page makes its own.
 * It runs before any script of the page and keeps its own references to what it uses, because pages replace things.
 */
(() => {
  // In a page that was there before the extension, what is here may be the page's: it has to be loaded anew.
  if (document.readyState !== "loading" || document.scripts.length !== 0) return;
  // A page's getters on the prototypes of Object and Promise must not be run with what is ours: every object given to
  // the browser, or read for what it may lack, has no prototype; nothing is called that the page can put in place later.
  const { apply } = Reflect;
  const { parse, stringify } = JSON;
  const { CustomEvent, AbortController, TextDecoder, URL, Request, Proxy, Object, Promise, setTimeout } = window;
  const { defineProperty, getOwnPropertyDescriptor, getPrototypeOf, setPrototypeOf } = Object;
  const { URLSearchParams, ReadableStream, ReadableStreamDefaultReader, ReadableStreamBYOBReader, WritableStream } = globalThis;
  const method = (owner, name) => {
    const original = owner.prototype[name];
    return (self, ...args) => apply(original, self, args);
  };
  const getter = (owner, name) => {
    const { get } = getOwnPropertyDescriptor(owner.prototype ?? owner, name);
    return (self) => apply(get, self, []);
  };
  const dispatch = method(EventTarget, "dispatchEvent");
  const listen = method(EventTarget, "addEventListener");
  const stop = method(Event, "stopImmediatePropagation");
  const detail = getter(CustomEvent, "detail");
  const abort = method(AbortController, "abort");
  const signal = getter(AbortController, "signal");
  const decode = method(TextDecoder, "decode");
  const exec = method(RegExp, "exec");
  const upper = method(String, "toUpperCase");
  const clone = method(Response, "clone");
  const status = getter(Response, "status");
  const typeOf = getter(Response, "type");
  const urlOf = getter(Response, "url");
  const headersOf = getter(Response, "headers");
  const bodyOf = getter(Response, "body");
  const header = method(Headers, "get");
  const eachHeader = method(Headers, "forEach");
  const cancel = method(ReadableStream, "cancel");
  const pipe = method(ReadableStream, "pipeTo");
  const locked = getter(ReadableStream, "locked");
  const reader = method(ReadableStream, "getReader");
  const release = method(ReadableStreamDefaultReader, "releaseLock");
  const closed = getter(ReadableStreamDefaultReader, "closed");
  const closedBytes = getter(ReadableStreamBYOBReader, "closed");
  const bytes = getter(getPrototypeOf(Uint8Array.prototype), "byteLength");
  const href = getter(URL, "href");
  const answeredFrom = getter(XMLHttpRequest, "responseURL");
  const requestUrl = getter(Request, "url");
  const requestMethod = getter(Request, "method");
  const requestClone = method(Request, "clone");
  const requestText = method(Request, "text");
  const parameters = method(URLSearchParams, "toString");
  const recall = method(WeakMap, "get");
  const remember = method(WeakMap, "set");
  const forget = method(WeakMap, "delete");
  const then = method(Promise, "then");
  const nativeFetch = window.fetch;
  const doc = document;

  // Whoever awaits a promise asks it for its constructor, and what it is kept with for a `then`.
  const shielded = (promise) => defineProperty(promise, "constructor", { __proto__: null, value: Promise });
  defineProperty(Response.prototype, "then", { __proto__: null, value: undefined });
  const matches = (pattern, text) => exec(pattern, text ?? "") !== null;

  /** How much may be on its way to the background without its word that it got there. */
  const WINDOW_BYTES = 512 * 1024;
  /** The largest answer of the page's own that is looked at. */
  const WATCHED_BYTES_MAX = 8 << 20;
  /** How long the background may take to say whether it wants to see an answer. */
  const DECISION_MS = 5_000;

  let channel = null;
  /** Requests that are performed, by id; answers of the page that may be watched, by number. */
  const running = { __proto__: null };
  const decisions = { __proto__: null };
  let count = 0;

  /** Tells the background. False when nobody is there any more. */
  function send(message) {
    if (channel === null) return false;
    const text = stringify(setPrototypeOf(message, null));
    const event = new CustomEvent(`${channel}-out`, { __proto__: null, cancelable: true, detail: text });
    if (!dispatch(doc, event)) return true;
    channel = null;
    return false;
  }

  /** A decoder for what the content type says; UTF-8 where it says nothing or nonsense. */
  function decoderFor(type) {
    const charset = exec(/charset="?([\w-]+)/i, type ?? "")?.[1];
    try {
      return new TextDecoder(charset ?? "utf-8");
    } catch {
      return new TextDecoder();
    }
  }

  /** The response headers that may leave the page. */
  function allowedHeaders(headers) {
    const found = { __proto__: null };
    eachHeader(headers, (value, name) => {
      if (matches(/^(content-type|retry-after|retry-after-ms|x-request-id|x-ratelimit-.+|cf-mitigated)$/i, name)) found[name] = value;
    });
    return found;
  }

  /** Hands a stream's text to `take`, piece by piece; a promise that `take` returns is waited for. */
  async function readAll(stream, type, take, more) {
    const decoder = decoderFor(type);
    const write = (value) => take(decode(decoder, value, { __proto__: null, stream: true }), bytes(value));
    // Not by a reader: what it reads comes in objects that the page's prototype could look into.
    await shielded(pipe(stream, new WritableStream({ __proto__: null, write }), { __proto__: null, ...more }));
    await take(decode(decoder), 0);
  }

  const TOO_LARGE = { __proto__: null };
  const REDIRECT = { __proto__: null };
  const DISCONNECTED = { __proto__: null };

  async function perform({ id, url, method: verb, headers, body, max }) {
    const task = { __proto__: null, controller: new AbortController(), unacknowledged: 0, more: null };
    running[id] = task;
    try {
      const options = { __proto__: null, method: verb, headers, body, credentials: "include", signal: signal(task.controller) };
      // Not "error": that could not be told from any other failure. Neither of them follows.
      options.redirect = "manual";
      const response = await shielded(apply(nativeFetch, window, [url, options]));
      if (typeOf(response) === "opaqueredirect") throw REDIRECT;
      const heads = headersOf(response);
      send({ t: "head", id, status: status(response), url: urlOf(response), headers: allowedHeaders(heads) });
      const stream = bodyOf(response);
      if (stream !== null) await shielded(forwardBody(id, task, stream, header(heads, "content-type"), max));
      send({ t: "end", id });
    } catch (error) {
      abort(task.controller);
      // Only the kind of an error is told: its text could hold anything.
      if (error === TOO_LARGE) send({ t: "fail", id, code: "response_too_large", message: "TooLarge in the page" });
      else if (error === REDIRECT) send({ t: "fail", id, code: "host_not_allowed", message: "The app answered with a redirect, which is not followed." });
      else send({ t: "fail", id, code: "fetch_failed", message: `${kindOf(error)} in the page` });
    } finally {
      delete running[id];
    }
  }

  /** An error's name, as far as it is one of the browser's. */
  function kindOf(error) {
    const name = error === null || typeof error !== "object" ? null : error.name;
    return typeof name === "string" && matches(/^[A-Z][A-Za-z]{0,40}$/, name) ? name : "Error";
  }

  function forwardBody(id, task, stream, type, max) {
    let total = 0;
    return readAll(stream, type, (text, length) => {
      total += length;
      if (max && total > max) throw TOO_LARGE;
      if (text === "") return undefined;
      // Nobody to tell: the extension is gone, and so is the point of reading on.
      if (!send({ t: "chunk", id, text })) throw DISCONNECTED;
      task.unacknowledged += text.length;
      return task.unacknowledged > WINDOW_BYTES ? awaitWindow(task) : undefined;
    });
  }

  /** Settled once enough of what was told has arrived. */
  const awaitWindow = (task) =>
    shielded(
      new Promise((resolve) => {
        task.more = () => task.unacknowledged > WINDOW_BYTES || resolve();
      }),
    );

  /** Aborts a request, also one that waits to read on. */
  function end(task) {
    abort(task.controller);
    task.unacknowledged = 0;
    task.more?.();
  }

  function received(text) {
    const message = setPrototypeOf(parse(text), null);
    if (message.headers) setPrototypeOf(message.headers, null);
    const task = running[message.id];
    if (message.t === "fetch") {
      void perform(message);
    } else if (message.t === "abort") {
      if (task) end(task);
    } else if (message.t === "abort_all") {
      for (const id in running) end(running[id]);
    } else if (message.t === "ack" && task) {
      task.unacknowledged -= message.n;
      task.more?.();
    } else if (message.t === "watch" || message.t === "skip") {
      const decide = decisions[message.n];
      if (decide) decide(message.t);
      else if (message.t === "watch") send({ t: "watched_end", n: message.n, complete: false });
    }
  }

  listen(
    doc,
    "baa-conductor-channel",
    (event) => {
      stop(event);
      channel = detail(event);
      listen(doc, `${channel}-in`, (incoming) => {
        stop(incoming);
        received(detail(incoming));
      });
    },
    { __proto__: null, once: true, capture: true },
  );

  // The page's own traffic. Nothing here may change what the page sees.

  const textual = (type) => matches(/json|event-stream|text\/plain|javascript/i, type);

  /**
   * Asks the background whether it wants to see answer number `n`; if so `work` tells it, and true when that is all. The
   * background counts what it watches: whatever happens, it hears of an end, unless it did not want to see it.
   */
  async function watch(n, seen, work) {
    let complete = false;
    let decision = "late";
    try {
      const decided = shielded(
        new Promise((resolve) => {
          decisions[n] = resolve;
          setTimeout(() => resolve("late"), DECISION_MS);
        }),
      );
      if (!send({ t: "seen", n, page: location.href, ...seen })) return;
      decision = await decided;
      if (decision === "watch") complete = await shielded(work());
    } catch {
      // The page gave up, or the connection did.
    } finally {
      delete decisions[n];
      if (decision !== "skip") send({ t: "watched_end", n, complete });
    }
  }

  /** Reads no further; whether that works is nobody's business, the page's error handlers' least of all. */
  const discard = (stream) => void then(cancel(stream), undefined, () => {});

  /** How to stop reading what the page no longer reads, by the stream the page has; and the streams of its readers. */
  const watchStops = new WeakMap();
  const streams = new WeakMap();

  function bodyText(body) {
    if (typeof body === "string") return body;
    return body instanceof URLSearchParams ? parameters(body) : undefined;
  }

  async function observe(response, verb, url, requestBody) {
    const type = header(headersOf(response), "content-type");
    if (bodyOf(response) === null || !textual(type)) return;
    const stream = bodyOf(clone(response));
    const stopper = new AbortController();
    remember(watchStops, bodyOf(response), () => {
      abort(stopper);
      discard(stream);
    });
    count += 1;
    const n = count;
    let total = 0;
    const take = (text) => {
      total += text.length;
      if (total > WATCHED_BYTES_MAX) throw TOO_LARGE;
      if (text !== "") send({ t: "watched_text", n, text });
    };
    const work = async () => {
      send({ t: "watched", n, body: await shielded(requestBody()) });
      await shielded(readAll(stream, type, take, { signal: signal(stopper) }));
      return true;
    };
    await shielded(watch(n, { method: verb, url, from: urlOf(response), status: status(response) }, work));
    // What was not read to its end must not be kept for it.
    discard(stream);
  }

  /** Puts `act` around one of the browser's functions. */
  function wrap(owner, name, act) {
    owner[name] = new Proxy(owner[name], { __proto__: null, apply: act });
  }

  wrap(window, "fetch", (target, self, args) => {
    let observeResult = null;
    try {
      const input = args[0];
      const init = args[1];
      const request = input instanceof Request ? input : null;
      const verb = upper(`${init?.method ?? (request ? requestMethod(request) : "GET")}`);
      const url = href(new URL(request ? requestUrl(request) : `${input}`, location.href));
      const copy = request && init?.body === undefined && verb !== "GET" ? requestClone(request) : null;
      const requestBody = async () => (copy ? await shielded(requestText(copy)) : bodyText(init?.body));
      observeResult = (response) => void then(observe(response, verb, url, requestBody), undefined, () => {});
    } catch {
      // What the browser will refuse is not looked at.
    }
    const result = apply(target, self, args);
    if (observeResult === null || channel === null) return result;
    // Whoever looks at a promise handles it: the page gets one that only the page can handle.
    return new Promise((resolve, reject) => {
      const seen = (response) => {
        observeResult(response);
        resolve(response);
      };
      then(result, seen, reject);
    });
  });

  // Our copy of an answer would keep the download going that the page stops, and be taken for all of it. What becomes of a
  // stream that it pipes or clones cannot be seen; such an answer is read to its end.

  /** The page reads no further in what this reader, or iterator, is of. */
  function cancelWatched(target, self, args) {
    const result = apply(target, self, args);
    recall(watchStops, recall(streams, self))?.();
    return result;
  }

  const readable = ReadableStream.prototype;
  wrap(ReadableStreamDefaultReader.prototype, "cancel", cancelWatched);
  wrap(ReadableStreamBYOBReader.prototype, "cancel", cancelWatched);
  wrap(readable, "getReader", (target, self, args) => {
    const found = apply(target, self, args);
    if (recall(watchStops, self)) {
      remember(streams, found, self);
      const over = found instanceof ReadableStreamDefaultReader ? closed(found) : closedBytes(found);
      // Read to its end there is nothing to stop, whatever the page cancels then; and a reader can be released.
      then(over, () => forget(watchStops, self), () => forget(streams, found));
    }
    return found;
  });
  wrap(readable, "cancel", (target, self, args) => {
    const stopped = recall(watchStops, self);
    if (stopped && !locked(self)) {
      // A reader's promise tells whether the stream was at its end: then releasing it is no failure.
      const probe = reader(self);
      then(closed(probe), () => {}, stopped);
      release(probe);
    }
    return apply(target, self, args);
  });
  wrap(readable, "values", (target, self, args) => {
    const found = apply(target, self, args);
    if (recall(watchStops, self) && !args[0]?.preventCancel) remember(streams, found, self);
    return found;
  });
  readable[Symbol.asyncIterator] = readable.values;
  const iterators = getPrototypeOf(apply(readable.values, new ReadableStream(), []));
  if (iterators.return) wrap(iterators, "return", cancelWatched);

  const xhr = XMLHttpRequest.prototype;
  const opened = new WeakMap();

  async function observeXhr(request, complete) {
    const call = recall(opened, request);
    const json = request.responseType === "json";
    if (!call || !(json || request.responseType === "" || request.responseType === "text")) return;
    if (!textual(request.getResponseHeader("content-type"))) return;
    const text = json ? stringify(request.response) : request.responseText;
    count += 1;
    const n = count;
    const work = async () => {
      send({ t: "watched", n, body: call.body });
      if (text.length > WATCHED_BYTES_MAX) return false;
      send({ t: "watched_text", n, text });
      return complete;
    };
    await shielded(watch(n, { method: call.method, url: call.url, from: answeredFrom(request), status: request.status }, work));
  }

  wrap(xhr, "open", (target, self, args) => {
    try {
      const url = href(new URL(`${args[1]}`, location.href));
      remember(opened, self, { __proto__: null, method: upper(`${args[0]}`), url, body: undefined });
    } catch {
      // As above.
    }
    return apply(target, self, args);
  });
  wrap(xhr, "send", (target, self, args) => {
    const call = recall(opened, self);
    if (call && channel !== null) {
      call.body = bodyText(args[0]);
      let complete = false;
      const once = { __proto__: null, once: true };
      listen(self, "load", () => (complete = true), once);
      listen(self, "loadend", () => void then(observeXhr(self, complete), undefined, () => {}), once);
    }
    return apply(target, self, args);
  });
})();
