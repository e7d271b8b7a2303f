/**
 * Content script in the page's own world: performs requests as the page would, and observes the page's own requests. It
 * runs before any script of the page and keeps its own references to the functions it uses, because pages replace them.
 */
(() => {
  // In a page older than the extension the globals may be replaced already: it has to be reloaded.
  if (document.readyState !== "loading" || document.scripts.length !== 0) return;
  // Getters that the page defines on the prototypes of Object and Promise must not run with the extension's data: every
  // object that is passed to the browser, or read for optional fields, has no prototype, and no function is called that
  // the page can replace later.
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

  // `await` reads the constructor of a promise and the `then` of its value; neither may reach the page.
  const shielded = (promise) => defineProperty(promise, "constructor", { __proto__: null, value: Promise });
  defineProperty(Response.prototype, "then", { __proto__: null, value: undefined });
  const matches = (pattern, text) => exec(pattern, text ?? "") !== null;

  /** Most characters sent to the background without acknowledgement. */
  const WINDOW_BYTES = 512 * 1024;
  /** The largest answer to a request of the page that is observed. */
  const WATCHED_BYTES_MAX = 8 << 20;
  /** How long the background may take to decide whether an answer is observed. */
  const DECISION_MS = 5_000;

  let channel = null;
  /** Running requests, by id; pending decisions on answers of the page, by number. */
  const running = { __proto__: null };
  const decisions = { __proto__: null };
  let count = 0;

  /** Sends a message to the background; returns false if the extension is gone. */
  function send(message) {
    if (channel === null) return false;
    const text = stringify(setPrototypeOf(message, null));
    const event = new CustomEvent(`${channel}-out`, { __proto__: null, cancelable: true, detail: text });
    if (!dispatch(doc, event)) return true;
    channel = null;
    return false;
  }

  /** Returns a decoder for the content type's charset; for UTF-8 if it has none or an invalid one. */
  function decoderFor(type) {
    const charset = exec(/charset="?([\w-]+)/i, type ?? "")?.[1];
    try {
      return new TextDecoder(charset ?? "utf-8");
    } catch {
      return new TextDecoder();
    }
  }

  /** Returns the response headers that may leave the page. */
  function allowedHeaders(headers) {
    const found = { __proto__: null };
    eachHeader(headers, (value, name) => {
      if (matches(/^(content-type|retry-after|retry-after-ms|x-request-id|x-ratelimit-.+|cf-mitigated)$/i, name)) found[name] = value;
    });
    return found;
  }

  /** Passes a stream's text to `take`, piece by piece; awaits a promise that `take` returns. */
  async function readAll(stream, type, take, more) {
    const decoder = decoderFor(type);
    const write = (value) => take(decode(decoder, value, { __proto__: null, stream: true }), bytes(value));
    // A reader is not used: its results are objects whose prototype the page could change.
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
      // Not "error", which could not be distinguished from other failures. Neither follows redirects.
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
      // Only the name of an error is sent; its message could contain anything.
      if (error === TOO_LARGE) send({ t: "fail", id, code: "response_too_large", message: "TooLarge in the page" });
      else if (error === REDIRECT) send({ t: "fail", id, code: "host_not_allowed", message: "The app answered with a redirect, which is not followed." });
      else send({ t: "fail", id, code: "fetch_failed", message: `${kindOf(error)} in the page` });
    } finally {
      delete running[id];
    }
  }

  /** Returns an error's name, if it looks like one of the browser's. */
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
      // The extension is gone.
      if (!send({ t: "chunk", id, text })) throw DISCONNECTED;
      task.unacknowledged += text.length;
      return task.unacknowledged > WINDOW_BYTES ? awaitWindow(task) : undefined;
    });
  }

  /** Settled once enough was acknowledged. */
  const awaitWindow = (task) =>
    shielded(
      new Promise((resolve) => {
        task.more = () => task.unacknowledged > WINDOW_BYTES || resolve();
      }),
    );

  /** Aborts a request, also one that waits for acknowledgements. */
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

  // The page's own traffic. Nothing below may change what the page receives.

  const textual = (type) => matches(/json|event-stream|text\/plain|javascript/i, type);

  /**
   * Asks the background whether to observe answer number `n`; if so, `work` sends it and returns whether it is complete.
   * The background always receives an end, except for answers that it declined.
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
      // The page or the network aborted the answer.
    } finally {
      delete decisions[n];
      if (decision !== "skip") send({ t: "watched_end", n, complete });
    }
  }

  /** Cancels a stream; a failure must not reach the page's error handlers. */
  const discard = (stream) => void then(cancel(stream), undefined, () => {});

  /** Functions that stop observing an answer, by the page's stream; and the streams of the page's readers. */
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
    // An unread rest must not be buffered.
    discard(stream);
  }

  /** Wraps a function of the browser in a proxy that calls `act`. */
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
      // Arguments that the browser will refuse are not observed.
    }
    const result = apply(target, self, args);
    if (observeResult === null || channel === null) return result;
    // Reading a promise marks it as handled, so the page gets a new one, whose rejection only the page handles.
    return new Promise((resolve, reject) => {
      const seen = (response) => {
        observeResult(response);
        resolve(response);
      };
      then(result, seen, reject);
    });
  });

  // The copy of an answer would continue a download that the page cancels, and would count as complete. Streams that the
  // page pipes or clones cannot be tracked; such answers are read to their end.

  /** Stops observing the answer whose reader or iterator the page cancels. */
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
      // A stream read to its end needs no stop; a released reader is forgotten.
      then(over, () => forget(watchStops, self), () => forget(streams, found));
    }
    return found;
  });
  wrap(readable, "cancel", (target, self, args) => {
    const stopped = recall(watchStops, self);
    if (stopped && !locked(self)) {
      // A reader's `closed` shows whether the stream was at its end; then releasing it does not reject.
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
      // Arguments that the browser will refuse are not observed.
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
