/** Performs the daemon's requests in the page of their platform and sends the answers back. */
import { endpoint } from "../platforms/index.js";
import * as wire from "../wire.js";
import { JsonText } from "./body.js";
import { responseHeaders, mergeHeaders } from "./headers.js";
import { isOnPlatform, resolve } from "./hosts.js";
import { AnswerFramer } from "./answer-framer.js";
import { isCredentialPath } from "./credential-paths.js";
import { exceeds, FRAME_BYTES_MAX } from "./outbox.js";
import { isRefusal } from "./templates.js";

/** The largest whole answer, and the largest event of a stream. */
export const BODY_BYTES_MAX = 16 << 20;
/** Interval of `progress` frames; shorter than the 10 s in which a stream must open. */
export const PROGRESS_MS = 5_000;
/** Most requests at a time. */
export const RUNNING_MAX = 256;

/** A whole answer longer than this waits for room in the outbox. */
const LARGE_BYTES = 256 * 1024;

/** Messages for the codes of the protocol. */
const MESSAGES = {
  tab_unavailable: "The platform's tab is not available.",
  host_not_allowed: "The address is not on the platform's hosts.",
  credential_path: "The answer would contain credentials, which do not leave the browser.",
  request_cancelled: "The request was cancelled.",
  template_refused: "No prompt template of this platform can be used.",
  response_too_large: "The answer is too large.",
  fetch_failed: "The page could not perform the request.",
};

/** Codes and messages of a failure that a page may report; others are replaced, because scripts of the app run there too. */
const PAGE_CODES = new Set(["response_too_large", "host_not_allowed", "fetch_failed"]);
const PAGE_MESSAGE = /^[\x20-\x7e]{1,200}$/;

/** Returns code and message of a failure that a page reports. */
export function readFailure({ code, message }) {
  const known = PAGE_CODES.has(code) ? code : "fetch_failed";
  return [known, typeof message === "string" && PAGE_MESSAGE.test(message) ? message : MESSAGES[known]];
}

/** The running requests. */
export class RequestProxy {
  #env;
  /** By the daemon's id, and by the key by which a page knows one run. */
  #running = new Map();
  #byKey = new Map();

  /**
   * @param {object} env `link`, `shells`, `tabs`, `templates`, `extractorFor(name)`, `replayedHeaders(platform, origin)`,
   *   `expectProxied(tabId, method, url)` → function that withdraws it, `refused(platform, status)`,
   *   `failed(platform, code)`, `log`, `setInterval`, `clearInterval`, `setTimeout`, `clearTimeout`
   */
  constructor(env) {
    this.#env = env;
  }

  /** Number of running requests. */
  get running() {
    return this.#running.size;
  }

  /** Performs an `api_request` of the daemon. */
  async request(frame) {
    if (this.#running.has(frame.id)) return;
    const { link, setInterval } = this.#env;
    // The daemon may reuse an id while a page still reports on its last run.
    const task = { frame, key: crypto.randomUUID(), port: null, answer: null, reader: null, unacknowledged: 0, beat: null, release: () => {} };
    this.#running.set(frame.id, task);
    this.#byKey.set(task.key, task);
    task.beat = setInterval(() => link.send(wire.progress({ id: frame.id })), PROGRESS_MS);
    const fault = await this.#begin(task).catch(() => "fetch_failed");
    if (fault !== null) this.#fail(task, fault);
  }

  async #begin(task) {
    const { frame } = task;
    const { shells, tabs } = this.#env;
    if (this.#running.size > RUNNING_MAX) return "fetch_failed";
    const platform = shells.platform(frame.platform);
    const filled = typeof frame.prompt === "string" && platform !== undefined ? this.#env.templates.fill(frame.platform, frame.prompt) : undefined;
    if (filled === null) return "template_refused";
    const asked = filled?.request ?? { method: frame.method, url: frame.path, headers: {}, body: frame.body };
    const url = platform === undefined ? null : resolve(platform, asked.url);
    if (url === null) return "host_not_allowed";
    if (isCredentialPath(platform, url.href)) return "credential_path";
    const page = await tabs.page(frame.platform);
    if (!this.#isRunning(task)) return null;
    if (page === null) return "tab_unavailable";
    const method = (asked.method ?? "GET").toUpperCase();
    const headers = mergeHeaders(this.#env.replayedHeaders(frame.platform, url.origin), { ...asked.headers, ...frame.headers });
    let { body } = asked;
    if (body === undefined || body === null) {
      body = undefined;
    } else if (typeof body !== "string") {
      body = body instanceof JsonText ? body.text : JSON.stringify(body);
      headers["content-type"] ??= "application/json";
    }
    task.port = page.port;
    task.platform = platform;
    task.method = method;
    task.template = filled?.template;
    // The address of a template contains values of the page, which stay in the browser.
    task.shown = filled === undefined ? url.href : url.origin + endpoint(method, url.href).slice(method.length + 1);
    task.release = this.#env.expectProxied(page.tabId, method, url.href);
    task.reader = filled === undefined ? null : this.#readerOf(platform, { method, url: url.href, requestBody: body });
    this.#post(task, { t: "fetch", id: task.key, url: url.href, method, headers, body, max: this.#isStream(task) ? 0 : BODY_BYTES_MAX });
    return null;
  }

  /** Handles `request_cancel` of the daemon. */
  cancel({ id }) {
    const task = this.#running.get(id);
    if (task === undefined) return;
    this.#post(task, { t: "abort", id: task.key });
    this.#fail(task, "request_cancelled");
  }

  /** Aborts all requests without an answer. */
  abortAll() {
    for (const task of [...this.#running.values()]) {
      this.#post(task, { t: "abort", id: task.key });
      this.#close(task);
    }
  }

  /** Fails the requests of a page that is gone. */
  portGone(port) {
    for (const task of [...this.#running.values()]) if (task.port === port) this.#fail(task, "tab_unavailable");
  }

  /** Handles a page's message about a request, which has the key of the run. */
  message(port, message) {
    const task = this.#byKey.get(message.id);
    if (task === undefined || task.port !== port) return;
    if (message.t === "head") this.#head(task, message);
    else if (message.t === "chunk") this.#chunk(task, String(message.text));
    else if (message.t === "end") void this.#end(task);
    else if (message.t === "fail") this.#fail(task, ...readFailure(message));
  }

  /** Whether this run is still going on. */
  #isRunning(task) {
    return this.#byKey.get(task.key) === task;
  }

  /** Returns the reader of the app's answer to a filled template, if there is one. */
  #readerOf(platform, call) {
    const knowledge = this.#env.extractorFor(platform.final_message ?? "");
    return knowledge?.watches(call) ? knowledge.extractor(call) : null;
  }

  #isStream(task) {
    return task.frame.response_mode === "sse";
  }

  #head(task, { status, headers, url }) {
    const { frame } = task;
    const isOwn = !url || isOnPlatform(task.platform, url);
    if (!isOwn || (url && isCredentialPath(task.platform, url))) {
      this.#post(task, { t: "abort", id: task.key });
      this.#fail(task, isOwn ? "credential_path" : "host_not_allowed");
      return;
    }
    this.#env.refused(frame.platform, status);
    const isRefused = task.template !== undefined && isRefusal(status);
    if (isRefused) this.#env.templates.refused(frame.platform, task.template, status);
    task.status = status;
    task.answer = new AnswerFramer({
      id: frame.id,
      stream_id: frame.stream_id ?? frame.id,
      stream: this.#isStream(task),
      status,
      headers: responseHeaders(headers),
      meta: { method: task.method, platform: frame.platform, url: task.shown },
      refusal: isRefused ? "template_refused" : undefined,
      max: BODY_BYTES_MAX,
      send: (text, end) => this.#send(task, text, end),
      setTimeout: this.#env.setTimeout,
      clearTimeout: this.#env.clearTimeout,
    });
    task.answer.open();
  }

  #chunk(task, text) {
    if (task.answer === null) return;
    task.reader?.push(text);
    if (!task.answer.push(text)) {
      this.#post(task, { t: "abort", id: task.key });
      this.#fail(task, "response_too_large");
      return;
    }
    if (!this.#isRunning(task)) return;
    task.unacknowledged += text.length;
    if (task.unacknowledged < 64 * 1024) return;
    const n = task.unacknowledged;
    task.unacknowledged = 0;
    // The page continues to read once the outbox has room.
    const ack = () => this.#post(task, { t: "ack", id: task.key, n });
    const room = this.#env.link.room();
    if (room === undefined) ack();
    else void room.then(ack);
  }

  async #end(task) {
    if (task.answer === null) return this.#fail(task, "fetch_failed");
    // The page is no longer needed.
    task.port = null;
    if (task.answer.waiting > LARGE_BYTES) {
      // Another request may have used the room, so it is checked again.
      for (let room = this.#env.link.room(); room !== undefined; room = this.#env.link.room()) {
        await room;
        if (!this.#isRunning(task)) return;
      }
    }
    // Some apps report an error in an answer with status 200.
    const isError = task.reader?.end(true).nothing === "error";
    if (task.template !== undefined && task.status <= 299 && !isError) this.#env.templates.accepted(task.frame.platform, task.template);
    task.answer.end();
    this.#close(task);
  }

  #send(task, text, end) {
    const tooLarge = exceeds(text, FRAME_BYTES_MAX);
    if (!tooLarge && (this.#env.link.send(text, end) || !this.#env.link.connected)) return;
    task.answer.close();
    this.#post(task, { t: "abort", id: task.key });
    // Without room although the page waits for it, the daemon does not read.
    if (tooLarge) this.#fail(task, "response_too_large");
    else this.#fail(task, "fetch_failed", "The outbox was full: the daemon does not read.");
  }

  #post(task, message) {
    try {
      task.port?.postMessage(JSON.stringify(message));
    } catch {
      // The page is gone; onDisconnect of its port reports it.
    }
  }

  #fail(task, code, message = MESSAGES[code]) {
    if (!this.#isRunning(task)) return;
    // Of an answer that is too large, the held pieces are not sent.
    if (code !== "response_too_large") task.answer?.flush();
    if (!this.#isRunning(task)) return;
    this.#close(task);
    const { link, log } = this.#env;
    const { id } = task.frame;
    const status = code === "request_cancelled" ? 499 : undefined;
    if (code !== "request_cancelled") {
      log("warn", `A request to ${task.frame.platform} failed: ${code}.`);
      this.#env.failed(task.frame.platform, code);
    }
    if (this.#isStream(task)) {
      link.send(wire.streamError({ id, stream_id: task.frame.stream_id ?? id, status, code, message }), true);
    } else {
      link.send(wire.apiResponse({ id, ok: false, status, error: code }), true);
    }
  }

  #close(task) {
    if (!this.#isRunning(task)) return;
    this.#env.clearInterval(task.beat);
    task.answer?.close();
    task.release();
    this.#byKey.delete(task.key);
    if (this.#running.get(task.frame.id) === task) this.#running.delete(task.frame.id);
  }
}
