/**
 * The prompt templates, one of a platform. One that holds a secret, or may, stays in memory and is gone with the
 * browser; the others outlive it.
 */
import { isShellPage } from "./shell.js";
import { fillTemplate, isTemplate } from "./template.js";

const STORED = "templates";
/** Most templates at a time. */
export const TEMPLATES_MAX = 32;

/** Answers of an app that say nothing about the template: another login is wanted, a shorter prompt, or another time. */
const UNRELATED_STATUSES = new Set([401, 408, 413, 425, 429]);

/** Whether an app that answers a filled template like this refuses it. */
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

  /** Reads what was kept. */
  async start() {
    const stored = (await this.#env.storage.get(STORED))[STORED] ?? {};
    for (const [name, template] of Object.entries(stored).slice(0, TEMPLATES_MAX)) {
      if (isTemplate(template) && !this.#templates.has(name)) this.#templates.set(name, template);
    }
  }

  /** A real send of the user's taught a template. One of the same shape that can be used stays. */
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
   * A platform's template, filled.
   * @returns {{request: {method: string, url: string, headers: object, body: string}, template: object} | null}
   */
  fill(name, prompt) {
    if (!this.usable(name)) return null;
    const template = this.#templates.get(name);
    const { now, uuid } = this.#env;
    return { request: fillTemplate(template, prompt, { now: now(), uuid }), template };
  }

  /** The app answered a filled template to the end, and without refusing it. */
  accepted(name, template) {
    if (this.#templates.get(name) !== template || template.accepted_at !== undefined) return;
    template.accepted_at = this.#env.now();
    this.#store(name);
  }

  /** The app refused a filled template: it is not used again. */
  refused(name, template, status) {
    if (this.#templates.get(name) !== template || template.stale !== undefined) return;
    template.stale = { status, at: this.#env.now() };
    this.#env.log("warn", `The prompt template of ${name} was refused: ${status}.`);
    this.#store(name);
  }

  /** Forgets a platform's template; settles when it is gone from the storage too. */
  forget(name) {
    if (this.#templates.delete(name)) this.#store(name);
    return this.#stored;
  }

  /** Whether a prompt can be tried on this platform. */
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

  /** Whether the app has taken a prompt that was sent by it. */
  isAccepted(name) {
    return this.usable(name) && this.#templates.get(name).accepted_at !== undefined;
  }

  /** What the options page says of a platform's template; nothing of what is in it. */
  summary(name) {
    const template = this.#templates.get(name);
    if (template === undefined) return null;
    const { learned_at, accepted_at, stale, holds_secret } = template;
    return { learned_at, accepted_at, stale, in_memory: holds_secret === true, usable: this.usable(name) };
  }

  /** What is in it may be of one person alone; who that is is not always known. */
  #isOfAccount(template, account) {
    return template.account === undefined || account === undefined || template.account === account;
  }

  #store(name) {
    const keep = Object.fromEntries([...this.#templates].filter(([, template]) => template.holds_secret !== true));
    // One write after the other, so that the last one wins.
    this.#stored = this.#stored
      .then(() => this.#env.storage.set({ [STORED]: keep }))
      .catch(() => this.#env.log("error", "The prompt templates could not be kept."));
    this.#env.changed(name);
  }
}
