/**
 * The half in the page's own world: performs requests as the page would, and looks on while the page makes its own.
 * It runs before any script of the page and keeps its own references to what it uses, because pages replace things.
 */
(() => {
  const apply = Reflect.apply;
  const { parse, stringify } = JSON;
  const { CustomEvent, AbortController, TextDecoder, URL, Request, Proxy, Object, Promise, setTimeout } = window;
  const method = (owner, name) => {
    const original = owner.prototype[name];
    return (self, ...args) => apply(original, self, args);
  };
  const getter = (owner, name) => {
    const { get } = Object.getOwnPropertyDescriptor(owner.prototype, name);
    return (self) => apply(get, self, []);
  };
  const dispatch = method(EventTarget, "dispatchEvent");
  const listen = method(EventTarget, "addEventListener");
  const stop = method(Event, "stopImmediatePropagation");
  const detail = getter(CustomEvent, "detail");
  const abort = method(AbortController, "abort");
  const signal = getter(AbortController, "signal");
  const decode = method(TextDecoder, "decode");
  const clone = method(Response, "clone");
  const status = getter(Response, "status");
  const urlOf = getter(Response, "url");
  const headersOf = getter(Response, "headers");
  const bodyOf = getter(Response, "body");
  const header = method(Headers, "get");
  const eachHeader = method(Headers, "forEach");
  const reader = method(ReadableStream, "getReader");
  const read = method(ReadableStreamDefaultReader, "read");
  const cancel = method(ReadableStreamDefaultReader, "cancel");
  const then = method(Promise, "then");
  const nativeFetch = window.fetch;
  const doc = document;

  /** How much may be on its way to the background without its word that it got there. */
  const WINDOW_BYTES = 512 * 1024;
  /** The largest answer of the page's own that is looked at. */
  const WATCHED_BYTES_MAX = 8 << 20;
  /** How long the background may take to say whether it wants to see an answer. */
  const DECISION_MS = 5_000;

  let channel = null;
  /** Requests that are performed, by id; answers of the page that may be watched, by number. */
  const running = Object.create(null);
  const decisions = Object.create(null);
  let count = 0;

  /** Tells the background. False when nobody is there any more. */
  function tell(message) {
    if (channel === null) return false;
    const event = new CustomEvent(`${channel}-out`, { cancelable: true, detail: stringify(message) });
    if (!dispatch(doc, event)) return true;
    channel = null;
    return false;
  }

  /** A decoder for what the content type says; UTF-8 where it says nothing or nonsense. */
  function decoderFor(type) {
    const charset = /charset="?([\w-]+)/i.exec(type ?? "")?.[1];
    try {
      return new TextDecoder(charset ?? "utf-8");
    } catch {
      return new TextDecoder();
    }
  }

  /** The response headers that may leave the page. */
  function allowedHeaders(headers) {
    const found = Object.create(null);
    eachHeader(headers, (value, name) => {
      if (/^(content-type|retry-after|x-request-id|x-ratelimit-.+)$/i.test(name)) found[name] = value;
    });
    return found;
  }

  async function perform({ id, url, method: verb, headers, body, max }) {
    const task = { controller: new AbortController(), unseen: 0, more: null };
    running[id] = task;
    try {
      const options = { method: verb, headers, credentials: "include", signal: signal(task.controller) };
      if (body !== undefined) options.body = body;
      const response = await apply(nativeFetch, window, [url, options]);
      const heads = headersOf(response);
      tell({ t: "head", id, status: status(response), url: urlOf(response), headers: allowedHeaders(heads) });
      const stream = bodyOf(response);
      if (stream !== null) await pump(id, task, reader(stream), decoderFor(header(heads, "content-type")), max);
      tell({ t: "end", id });
    } catch (error) {
      abort(task.controller);
      // Only the kind of an error is told: its text could hold anything.
      const code = error?.code === "response_too_large" ? error.code : "fetch_failed";
      tell({ t: "fail", id, code, message: `${error?.name ?? "Error"} in the page` });
    } finally {
      delete running[id];
    }
  }

  async function pump(id, task, source, decoder, max) {
    let total = 0;
    for (;;) {
      const { done, value } = await read(source);
      const text = done ? decode(decoder) : decode(decoder, value, { stream: true });
      total += value?.byteLength ?? 0;
      if (max && total > max) throw { code: "response_too_large", name: "TooLarge" };
      if (text !== "") {
        // Nobody to tell: the extension is gone, and so is the point of reading on.
        if (!tell({ t: "chunk", id, text })) throw { name: "Gone" };
        task.unseen += text.length;
      }
      if (done) return;
      while (task.unseen > WINDOW_BYTES) await new Promise((resolve) => (task.more = resolve));
    }
  }

  /** Aborts a request, also one that waits to read on. */
  function end(task) {
    abort(task.controller);
    task.unseen = 0;
    task.more?.();
  }

  function received(text) {
    const message = parse(text);
    const task = running[message.id];
    if (message.t === "fetch") {
      void perform(message);
    } else if (message.t === "abort") {
      if (task) end(task);
    } else if (message.t === "abort_all") {
      for (const id in running) end(running[id]);
    } else if (message.t === "ack" && task) {
      task.unseen -= message.n;
      task.more?.();
    } else if (message.t === "watch" || message.t === "skip") {
      decisions[message.n]?.(message.t === "watch" ? message : null);
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
    { once: true, capture: true },
  );

  // The page's own traffic. Nothing here may change what the page sees.

  const textual = (type) => /json|event-stream|text\/plain|javascript/i.test(type ?? "");

  /** Asks the background whether it wants to see an answer. */
  function ask(seen) {
    count += 1;
    const n = count;
    const decided = new Promise((resolve) => {
      decisions[n] = resolve;
      setTimeout(() => resolve(null), DECISION_MS);
    });
    if (!tell({ t: "seen", n, page: location.href, ...seen })) decisions[n](null);
    return then(decided, (wanted) => {
      delete decisions[n];
      return { n, wanted };
    });
  }

  /** Reads no further; whether that works is nobody's business, the page's error handlers' least of all. */
  const drop = (source) => void then(cancel(source), undefined, () => {});

  const bodyText = (body) => (typeof body === "string" || body instanceof URLSearchParams ? `${body}` : undefined);

  async function observe(response, verb, url, requestBody) {
    const type = header(headersOf(response), "content-type");
    if (bodyOf(response) === null || !textual(type)) return;
    const source = reader(bodyOf(clone(response)));
    const { n, wanted } = await ask({ method: verb, url, status: status(response) });
    if (wanted === null) return drop(source);
    tell({ t: "watched", n, body: await requestBody() });
    const decoder = decoderFor(type);
    let total = 0;
    try {
      for (;;) {
        const { done, value } = await read(source);
        const text = done ? decode(decoder) : decode(decoder, value, { stream: true });
        total += text.length;
        if (total > WATCHED_BYTES_MAX) {
          drop(source);
          break;
        }
        if (text !== "") tell({ t: "watched_text", n, text });
        if (done) return void tell({ t: "watched_end", n, complete: true });
      }
    } catch {
      // The page gave up, or the connection did.
    }
    tell({ t: "watched_end", n, complete: false });
  }

  window.fetch = new Proxy(nativeFetch, {
    apply(target, self, args) {
      let look = null;
      try {
        const [input, init] = args;
        const request = input instanceof Request ? input : null;
        const verb = (init?.method ?? request?.method ?? "GET").toUpperCase();
        const { href } = new URL(request ? request.url : `${input}`, location.href);
        const copy = request && init?.body === undefined && verb !== "GET" ? request.clone() : null;
        const requestBody = async () => (copy ? copy.text() : bodyText(init?.body));
        look = (response) => observe(response, verb, href, requestBody).catch(() => {});
      } catch {
        // What the browser will refuse is not looked at.
      }
      const result = apply(target, self, args);
      if (look !== null && channel !== null) then(result, look, () => {});
      return result;
    },
  });

  const xhr = XMLHttpRequest.prototype;
  const opened = new WeakMap();

  async function observeXhr(request, complete) {
    const call = opened.get(request);
    const json = request.responseType === "json";
    if (!call || !(json || request.responseType === "" || request.responseType === "text")) return;
    if (!textual(request.getResponseHeader("content-type"))) return;
    const text = json ? stringify(request.response) : request.responseText;
    const { n, wanted } = await ask({ method: call.method, url: call.url, status: request.status });
    if (wanted === null) return;
    tell({ t: "watched", n, body: call.body });
    if (text.length <= WATCHED_BYTES_MAX) tell({ t: "watched_text", n, text });
    tell({ t: "watched_end", n, complete: complete && text.length <= WATCHED_BYTES_MAX });
  }

  xhr.open = new Proxy(xhr.open, {
    apply(target, self, args) {
      try {
        opened.set(self, { method: `${args[0]}`.toUpperCase(), url: new URL(`${args[1]}`, location.href).href });
      } catch {
        // As above.
      }
      return apply(target, self, args);
    },
  });
  xhr.send = new Proxy(xhr.send, {
    apply(target, self, args) {
      const call = opened.get(self);
      if (call && channel !== null) {
        call.body = bodyText(args[0]);
        let complete = false;
        listen(self, "load", () => (complete = true), { once: true });
        listen(self, "loadend", () => void observeXhr(self, complete).catch(() => {}), { once: true });
      }
      return apply(target, self, args);
    },
  });
})();
