/**
 * The prompt templates, one per platform. A template that may contain a secret is kept in memory only; the others are
 * stored.
 */
import { isShellPage } from "./shell.js";
import { fillTemplate, isTemplate } from "./template.js";

const STORED = "templates";
/** Most templates. */
export const TEMPLATES_MAX = 32;

/** Statuses from 400 to 499 that do not mean that the template is refused: login, time and size of the prompt. */
const UNRELATED_STATUSES = new Set([401, 408, 413, 425, 429]);

/** Whether this status of the answer to a filled template refuses it. */
export const isRefusal = (status) => status >= 400 && status <= 499 && !UNRELATED_STATUSES.has(status);

/** All templates. */
export class Templates {
  #env;
  #templates = new Map();
  #stored = Promise.resolve();

  /** @param {object} env `storage`, `now`, `uuid()`, `platform(name)`, `account(name)`, `changed(name)`, `log` */
  constructor(env) {
    this.#env = env;
  }

  /** Reads the storage. */
  async start() {
    const stored = (await this.#env.storage.get(STORED))[STORED] ?? {};
    for (const [name, template] of Object.entries(stored).slice(0, TEMPLATES_MAX)) {
      if (isTemplate(template) && !this.#templates.has(name)) this.#templates.set(name, template);
    }
  }

  /** Adds a template that was learned; a usable one of the same shape stays instead. */
  learned(name, template) {
    const before = this.#templates.get(name);
    if (before?.shape === template.shape && this.usable(name)) return;
    this.#templates.delete(name);
    this.#templates.set(name, { ...template, account: this.#env.account(name) });
    if (this.#templates.size > TEMPLATES_MAX) this.#templates.delete(this.#templates.keys().next().value);
    this.#env.log("info", `A prompt template of ${name} was learned.`);
    this.#store(name);
  }

  /**
   * Fills a platform's template; null if there is none that is usable.
   * @returns {{request: {method: string, url: string, headers: object, body: string}, template: object} | null}
   */
  fill(name, prompt) {
    if (!this.usable(name)) return null;
    const template = this.#templates.get(name);
    const { now, uuid } = this.#env;
    return { request: fillTemplate(template, prompt, { now: now(), uuid }), template };
  }

  /** Notes that the app answered a filled template completely, without an error. */
  accepted(name, template) {
    if (this.#templates.get(name) !== template || template.accepted_at !== undefined) return;
    template.accepted_at = this.#env.now();
    this.#store(name);
  }

  /** Marks a template that the app refused as stale; it is not used again. */
  refused(name, template, status) {
    if (this.#templates.get(name) !== template || template.stale !== undefined) return;
    template.stale = { status, at: this.#env.now() };
    this.#env.log("warn", `The prompt template of ${name} was refused: ${status}.`);
    this.#store(name);
  }

  /** Removes a platform's template; settles when it is removed from the storage too. */
  forget(name) {
    if (this.#templates.delete(name)) this.#store(name);
    return this.#stored;
  }

  /** Whether the platform has a template that can be filled. */
  usable(name) {
    const template = this.#templates.get(name);
    const platform = this.#env.platform(name);
    return (
      template !== undefined &&
      template.stale === undefined &&
      platform?.prompt === "template" &&
      isShellPage(platform, template.url) &&
      this.#isOfAccount(template, this.#env.account(name))
    );
  }

  /** Whether the app has accepted the filled template before. */
  isAccepted(name) {
    return this.usable(name) && this.#templates.get(name).accepted_at !== undefined;
  }

  /** Returns what the options page shows of a platform's template, without its content. */
  summary(name) {
    const template = this.#templates.get(name);
    if (template === undefined) return null;
    const { learned_at, accepted_at, stale, holds_secret } = template;
    return { learned_at, accepted_at, stale, in_memory: holds_secret === true, usable: this.usable(name) };
  }

  /** Whether the template was learned with this account, as far as accounts are known. */
  #isOfAccount(template, account) {
    return template.account === undefined || account === undefined || template.account === account;
  }

  #store(name) {
    const keep = Object.fromEntries([...this.#templates].filter(([, template]) => template.holds_secret !== true));
    // One write at a time, so that the last one wins.
    this.#stored = this.#stored
      .then(() => this.#env.storage.set({ [STORED]: keep }))
      .catch(() => this.#env.log("error", "The prompt templates could not be stored."));
    this.#env.changed(name);
  }
}
