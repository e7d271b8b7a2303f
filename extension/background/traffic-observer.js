/**
 * Reads the traffic between pages and their apps: final messages, the account, and drift (answers in an unknown format).
 * Only pages of the shell's origin are read, and only answers from there or from `answer_hosts`. The browser states the
 * origin of the page, `content/page.js` that of the answer.
 */
import { isAnswerHost, isShellPage } from "./shell.js";

/** Most answers of one page that are read at a time. */
const WATCHED_MAX = 64;
/** Most characters of an answer that are searched for the account. */
const ACCOUNT_CHARS_MAX = 512 * 1024;
/** Paths of answers that may contain the account. */
const ACCOUNT_PATH = /account|organization|profile|session|bootstrap|user|\/me\b/i;

/** Reads the traffic of all pages. */
export class TrafficObserver {
  #env;
  #watched = new Map();
  #drift = new Map();

  /**
   * @param {object} env `platformOf(tabId, port)` → the platform whose shell the page is, `extractorFor(name)`,
   *   `message(found)`, `account(platform, account)`, `status(fields)`, `now`, `log`
   */
  constructor(env) {
    this.#env = env;
  }

  /** Handles a page's message about its traffic. */
  message(tabId, port, message) {
    if (message.t === "seen") this.#decide(tabId, port, message);
    const watch = this.#watched.get(port)?.get(message.n);
    if (watch === undefined) return;
    if (message.t === "watched") this.#start(watch, message);
    else if (message.t === "watched_text") this.#runGuarded(watch, () => watch.take(String(message.text)));
    else if (message.t === "watched_end") this.#finish(port, message.n, watch, message.complete === true);
  }

  /** Ends the answers of a page that is gone as incomplete. */
  gone(port) {
    for (const [n, watch] of this.#watched.get(port) ?? []) this.#finish(port, n, watch, false);
    this.#watched.delete(port);
  }

  /** The drift so far, as fields of `platform_status`. */
  get drift() {
    return [...this.#drift.values()];
  }

  /** Decides whether an answer is read. `url`: the address requested; `from`: the address that answered, after redirects. */
  #decide(tabId, port, { n, method, url, from, status, page }) {
    const platform = this.#env.platformOf(tabId, port);
    const knowledge = platform && this.#env.extractorFor(platform.final_message ?? "");
    const answer = (t) => port.postMessage(JSON.stringify({ t, n }));
    if (!knowledge) return answer("skip");
    const [mayAnswer, isOwn] = [isAnswerHost, isShellPage].map((fits) => [url, from].every((each) => fits(platform, each)));
    const final = mayAnswer && status >= 200 && status <= 299 && this.#try(platform, () => knowledge.watches({ method, url }));
    const account = isOwn && method === "GET" && ACCOUNT_PATH.test(new URL(url).pathname);
    if (!this.#watched.has(port)) this.#watched.set(port, new Map());
    const watched = this.#watched.get(port);
    if (!(final || account) || watched.size >= WATCHED_MAX) return answer("skip");
    const pageUrl = isShellPage(platform, page) ? page : undefined;
    watched.set(n, { platform, knowledge, final, call: { method, url, status, pageUrl }, take: () => {}, end: () => {} });
    return answer("watch");
  }

  #start(watch, { body }) {
    const { platform, knowledge, call } = watch;
    if (watch.final) {
      this.#runGuarded(watch, () => {
        const reader = knowledge.extractor({ ...call, requestBody: body });
        watch.take = (text) => reader.push(text);
        watch.end = (complete) => this.#handleOutcome(platform, reader.end(complete));
      });
      return;
    }
    let text = "";
    watch.take = (more) => {
      if (text.length + more.length <= ACCOUNT_CHARS_MAX) text += more;
    };
    watch.end = (complete) => {
      const account = complete ? knowledge.account({ ...call, body: text }) : null;
      if (typeof account === "string" && account !== "") this.#env.account(platform.platform, account.slice(0, 256));
    };
  }

  #finish(port, n, watch, complete) {
    this.#watched.get(port)?.delete(n);
    this.#runGuarded(watch, () => watch.end(complete));
  }

  #handleOutcome(platform, outcome) {
    if (outcome.message) {
      const observed = { platform: platform.platform, ...outcome.message };
      Promise.resolve(this.#env.message(observed)).catch(() => this.#env.log("error", "A final message could not be stored."));
    } else if (outcome.drift !== undefined) {
      this.#countDrift(platform);
    }
  }

  #countDrift(platform) {
    const name = platform.platform;
    const before = this.#drift.get(name)?.extractor_drift ?? 0;
    const fields = { platform: name, extractor_drift: before + 1, last_drift_at: this.#env.now() };
    this.#drift.set(name, fields);
    this.#env.log("warn", `An answer of ${name} has an unknown format.`);
    this.#env.status(fields);
  }

  /** Counts an error of an extractor as drift. */
  #runGuarded(watch, work) {
    this.#try(watch.platform, work, () => {
      watch.take = () => {};
      watch.end = () => {};
    });
  }

  #try(platform, work, after = () => {}) {
    try {
      return work();
    } catch {
      after();
      this.#countDrift(platform);
      return false;
    }
  }
}
