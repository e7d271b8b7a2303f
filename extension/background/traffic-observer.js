/**
 * Looks on while the pages talk to their apps: final messages, whose login it is, and what was not understood. Only pages
 * of the shell's own origin count, and of what they read only what came from there, or from the platform's hosts for
 * answers. Who the page is the browser says; where an answer came from, the page's half.
 */
import { isAnswerHost, isShellPage } from "./shell.js";

/** How many answers of one page may be watched at once. */
const WATCHED_MAX = 64;
/** The largest answer that is searched for the account. */
const ACCOUNT_CHARS_MAX = 512 * 1024;
/** Where an app tells its page who is logged in. */
const ACCOUNT_PATH = /account|organization|profile|session|bootstrap|user|\/me\b/i;

/** What the pages' own traffic tells. */
export class TrafficObserver {
  #env;
  #watched = new Map();
  #drift = new Map();

  /**
   * @param {object} env `platformOf(tabId, port)` whose shell the page is, `extractorFor(name)`,
   *   `message(found)`, `account(platform, account)`, `status(fields)`, `now`, `log`
   */
  constructor(env) {
    this.#env = env;
  }

  /** A page's message about its own traffic. */
  message(tabId, port, message) {
    if (message.t === "seen") this.#decide(tabId, port, message);
    const watch = this.#watched.get(port)?.get(message.n);
    if (watch === undefined) return;
    if (message.t === "watched") this.#start(watch, message);
    else if (message.t === "watched_text") this.#runGuarded(watch, () => watch.take(String(message.text)));
    else if (message.t === "watched_end") this.#finish(port, message.n, watch, message.complete === true);
  }

  /** A page is gone; what it was telling remains incomplete. */
  gone(port) {
    for (const [n, watch] of this.#watched.get(port) ?? []) this.#finish(port, n, watch, false);
    this.#watched.delete(port);
  }

  /** What was not understood so far, as `platform_status` says it. */
  get drift() {
    return [...this.#drift.values()];
  }

  /** `url`: what the page asked for; `from`: what answered, after any redirects. */
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
      Promise.resolve(this.#env.message(observed)).catch(() => this.#env.log("error", "A final message could not be kept."));
    } else if (outcome.drift !== undefined) {
      this.#countDrift(platform);
    }
  }

  #countDrift(platform) {
    const name = platform.platform;
    const before = this.#drift.get(name)?.extractor_drift ?? 0;
    const fields = { platform: name, extractor_drift: before + 1, last_drift_at: this.#env.now() };
    this.#drift.set(name, fields);
    this.#env.log("warn", `The traffic of ${name} does not look as expected.`);
    this.#env.status(fields);
  }

  /** An extractor that throws does not understand what it reads. */
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
