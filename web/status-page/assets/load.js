/** Requests the data that the page shows and applies the responses to the state. Independent of the page. */
import { isNoRoute, part } from "./api.js";
import { journal } from "./state.js";

/** Number of stored logins, requests and batches to request. */
const LOGINS = 100;
const REQUESTS = 200;
const REQUESTS_FIRST = 500;
const BATCHES = 20;
/** Clock differences below this are ignored; the daemon's `Date` header has whole seconds. */
const SKEW_MS = 2_000;

export const EVERYTHING = ["status", "browser", "requests", "batches", "pairings"];

export class Loader {
  #api;
  #state;
  #isFirst = true;
  /** The plan of each batch; requested once per digest. */
  details = new Map();

  constructor(api, state) {
    this.#api = api;
    this.#state = state;
  }

  /** Requests these parts and updates `state`. `now`: the local clock. */
  async load(parts, now) {
    const wanted = new Set(parts);
    const state = this.#state;
    const asked = [];
    if (wanted.has("status")) asked.push(this.#status(now));
    if (wanted.has("browser")) asked.push(this.#browser());
    if (wanted.has("requests")) asked.push(this.#requests());
    await Promise.all(asked);
    if (state.access === "none" || state.elsewhere || !state.reachable) return;
    // Routes that require the token are requested by a page without a session only together with everything else, and
    // after a login.
    const guarded = ["batches", "pairings"].filter((name) => wanted.has(name));
    if (guarded.length === 0 || (state.access === "local" && !wanted.has("status"))) return;
    await this.#guarded(guarded);
  }

  async #status(now) {
    const [status, system] = await Promise.all([this.#api.get("/v1/status"), this.#api.get("/v1/system/state")]);
    const state = this.#state;
    state.reachable = status.status !== 0;
    if (status.ok) {
      state.status = status.data;
      if (state.access === "none") state.access = "unknown";
      const skew = status.date - now;
      state.skew = Math.abs(skew) > SKEW_MS ? skew : 0;
    } else if (status.status === 401 || status.status === 429) {
      state.access = "none";
    }
    if (system.ok) state.system = system.data;
  }

  async #browser() {
    const answer = await this.#api.get(`/v1/browser?limit=${LOGINS}`);
    if (answer.ok) this.#state.browser = answer.data;
    if (isNoRoute(answer)) {
      const described = await this.#api.get("/describe");
      if (described.ok) this.#state.elsewhere = `${described.data.origin}/v1/status/ui`;
    }
  }

  async #requests() {
    const limit = this.#isFirst ? REQUESTS_FIRST : REQUESTS;
    const answer = await this.#api.get(`/v1/browser/requests?limit=${limit}`);
    if (!answer.ok) return;
    this.#isFirst = false;
    journal(this.#state, answer.data.requests, answer.data.next_before === undefined);
  }

  async #guarded(names) {
    const state = this.#state;
    const read = { batches: () => this.#batches(), pairings: () => this.#pairings() };
    const answers = await Promise.all(names.map((name) => read[name]()));
    // A daemon without both routes is asked for another one that requires the token.
    if (answers.every(isNoRoute)) answers.push(await this.#api.get("/v1/browser/messages?limit=1"));
    if (answers.some(({ ok }) => ok)) {
      state.access = "all";
      state.refused = null;
    } else if (answers.some(({ status }) => status === 401)) {
      state.access = "local";
      state.batches = null;
      state.pairings = null;
    }
  }

  async #pairings() {
    const answer = await this.#api.get("/v1/browser/pairings");
    if (answer.ok) this.#state.pairings = answer.data.pairings;
    return answer;
  }

  async #batches() {
    const answer = await this.#api.get(`/v1/instructions?status=pending_approval&limit=${BATCHES}`);
    if (!answer.ok) return answer;
    const batches = answer.data.batches;
    const ids = new Set(batches.map(({ batch_id }) => batch_id));
    for (const id of this.details.keys()) if (!ids.has(id)) this.details.delete(id);
    const unread = batches.filter(({ batch_id, digest }) => (this.details.get(batch_id)?.digest ?? NaN) !== digest).map(({ batch_id }) => batch_id);
    const read = await Promise.all(unread.map((id) => this.#api.get(`/v1/instructions/${part(id)}`)));
    read.forEach(({ ok, data }, index) => ok && this.details.set(unread[index], data));
    this.#state.batches = batches;
    return answer;
  }
}
