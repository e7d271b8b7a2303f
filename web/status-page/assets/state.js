/** What the page knows of the daemon, and how each response and event changes it. Without time, page and network. */
import { forget, note, series } from "./series.js";

/** Number of kept requests; those that ended longest ago are dropped first. */
const REQUESTS_MAX = 300;

export const PHASES = ["queued", "admitted", "dispatched", "streaming", "done"];
const rank = (phase) => PHASES.indexOf(phase);

/** The initial state. */
export const start = () => ({
  /** The source of updates: `connecting`, `live` (events) or `polling`. */
  link: "connecting",
  /** Whether the daemon answered the last request. */
  reachable: true,
  /** The page's access: `unknown`, `all` (logged in), `local` (all but what requires the token), `none`. */
  access: "unknown",
  /** Why the login failed, in one sentence. */
  refused: null,
  /** The address of the complete page, if this listener has only the numbers. */
  elsewhere: null,
  /** Milliseconds by which the daemon's clock is ahead of the local one. */
  skew: 0,
  status: null,
  system: null,
  browser: null,
  requests: new Map(),
  series: series(),
  /** null: missing, or not shown to this page. */
  batches: null,
  pairings: null,
});

/** Whether a request has not ended. */
export const underWay = (request) => request.phase !== "done";

/** Applies a page of the journal, newest first. `whole`: nothing is older. */
export function journal(state, entries, whole) {
  const oldest = entries.at(-1)?.requested_at ?? 0;
  const told = new Set(entries.map(({ request_id }) => request_id));
  for (const [id, request] of state.requests) {
    // It ended without an event, or the page would contain it.
    if (underWay(request) && !told.has(id) && (whole || request.requested_at >= oldest)) state.requests.delete(id);
  }
  for (const entry of [...entries].reverse()) {
    const known = state.requests.get(entry.request_id);
    const isBehind = known && known.requested_at === entry.requested_at && rank(known.phase) > rank(entry.phase);
    if (!isBehind) keep(state, { ...known, waiting: undefined, ...entry });
    if (entry.phase === "done") note(state.series, entry);
  }
}

/** Moves it to the end of the map, as the newest change, and bounds the map. */
function keep(state, request) {
  state.requests.delete(request.request_id);
  state.requests.set(request.request_id, request);
  if (state.requests.size <= REQUESTS_MAX) return;
  const ended = [...state.requests.values()].find((other) => !underWay(other));
  state.requests.delete((ended ?? state.requests.values().next().value).request_id);
}

/** Returns when a request reached a phase, by the journal's field names. */
const REACHED = { queued: "requested_at", admitted: "admitted_at", dispatched: "dispatched_at", streaming: "first_byte_at", done: "finished_at" };

function requestTold(state, { phase, at, ...told }) {
  // An id may be reused after its request has ended.
  const known = phase === "queued" ? {} : state.requests.get(told.request_id) ?? {};
  const request = { ...known, ...told, phase, [REACHED[phase] ?? "at"]: at, waiting: phase === "queued" ? known.waiting : undefined };
  keep(state, request);
  if (phase === "done") note(state.series, request);
}

/** Applies a target's event, which is complete: fields that it lacks are removed. */
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

/** The daemon's events, and what must be requested again after each. */
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

/** Applies an event; returns what must be requested again. */
export function told(state, name, data) {
  if (name === "request") requestTold(state, data);
  if (name === "policy") policyTold(state, data);
  if (name === "system") {
    state.system = data;
    if (state.status) state.status.mode = data.mode;
  }
  return EVENTS[name] ?? [];
}

/** Removes what has expired. */
export const tidy = (state, now) => forget(state.series, now);
