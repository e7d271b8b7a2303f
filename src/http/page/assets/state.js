/** What the page knows of the daemon, and what each answer and event changes. No time, no page, no network in here. */
import { forget, note, series } from "./series.js";

/** Requests that are kept; those that ended longest ago leave first. */
const REQUESTS_MAX = 300;

export const PHASES = ["queued", "admitted", "dispatched", "streaming", "done"];
const rank = (phase) => PHASES.indexOf(phase);

/** Before anything is known. */
export const start = () => ({
  /** How news come: `connecting`, `live` (as they happen), `polling` (asked for). */
  link: "connecting",
  /** Whether the daemon answered when it was last asked. */
  reachable: true,
  /** What this page may: `unknown`, `all` (logged in), `local` (all but what needs the token), `none`. */
  access: "unknown",
  /** Why logging in failed, in one sentence. */
  refused: null,
  /** Where the whole page is, when this listener has only the numbers. */
  elsewhere: null,
  /** What the daemon's clock is ahead of ours, in milliseconds. */
  skew: 0,
  status: null,
  system: null,
  browser: null,
  requests: new Map(),
  series: series(),
  /** null: not there, or not shown to this page. */
  batches: null,
  pairings: null,
});

/** Whether a request has not ended. */
export const underWay = (request) => request.phase !== "done";

/** Takes over a page of the journal, newest first. `whole`: there is nothing beyond it. */
export function journal(state, entries, whole) {
  const oldest = entries.at(-1)?.requested_at ?? 0;
  const told = new Set(entries.map(({ request_id }) => request_id));
  for (const [id, request] of state.requests) {
    // It ended unheard, or it would be among them.
    if (underWay(request) && !told.has(id) && (whole || request.requested_at >= oldest)) state.requests.delete(id);
  }
  for (const entry of [...entries].reverse()) {
    const known = state.requests.get(entry.request_id);
    const isBehind = known && known.requested_at === entry.requested_at && rank(known.phase) > rank(entry.phase);
    if (!isBehind) keep(state, { ...known, waiting: undefined, ...entry });
    if (entry.phase === "done") note(state.series, entry);
  }
}

/** Moves it to the end of the map, where the newest change is, and bounds the map. */
function keep(state, request) {
  state.requests.delete(request.request_id);
  state.requests.set(request.request_id, request);
  if (state.requests.size <= REQUESTS_MAX) return;
  const ended = [...state.requests.values()].find((other) => !underWay(other));
  state.requests.delete((ended ?? state.requests.values().next().value).request_id);
}

/** When a request reached a phase, by the field's name in the journal. */
const REACHED = { queued: "requested_at", admitted: "admitted_at", dispatched: "dispatched_at", streaming: "first_byte_at", done: "finished_at" };

function requestTold(state, { phase, at, ...told }) {
  // A name may be used again once its request has ended.
  const known = phase === "queued" ? {} : state.requests.get(told.request_id) ?? {};
  const request = { ...known, ...told, phase, [REACHED[phase] ?? "at"]: at, waiting: phase === "queued" ? known.waiting : undefined };
  keep(state, request);
  if (phase === "done") note(state.series, request);
}

/** What a target's event says in full: what it leaves out is no more. */
const TARGET = { backoff_until: undefined, circuit_retry_at: undefined, last_error: undefined };

function policyTold(state, told) {
  const policy = state.browser?.policy;
  if (!policy) return;
  if (told.client_id === undefined) {
    const platform = policy.platforms.find(({ platform }) => platform === told.platform);
    if (platform) Object.assign(platform, told);
    return;
  }
  const target = policy.targets.find(({ client_id, platform }) => client_id === told.client_id && platform === told.platform);
  if (target) Object.assign(target, TARGET, told);
  else policy.targets.push(told);
}

/** The events that the daemon tells, and what has to be asked for again after each. */
export const EVENTS = {
  client_connected: ["browser", "status", "pairings"],
  client_disconnected: ["browser", "status"],
  login_state: ["browser"],
  shell_runtime: ["browser"],
  request: [],
  policy: ["browser"],
  action_result: ["browser"],
  final_message: [],
  instruction: ["batches"],
  system: ["status"],
  gap: ["browser", "status", "requests", "batches", "pairings"],
};

/** Takes over an event; answers what has to be asked for again. */
export function told(state, name, data) {
  if (name === "request") requestTold(state, data);
  if (name === "policy") policyTold(state, data);
  if (name === "system") {
    state.system = data;
    if (state.status) state.status.mode = data.mode;
  }
  return EVENTS[name] ?? [];
}

/** Lets go of what is over. */
export const tidy = (state, now) => forget(state.series, now);
