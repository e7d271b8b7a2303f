/** The rows of the page, derived from the state: only texts, ready to be shown. Pure. */
import { underWay } from "./state.js";
import { ago, bytes, count, error, left, line, span, spoken, took } from "./words.js";

const known = (time) => typeof time === "number";
const newest = (...times) => Math.max(0, ...times.filter(known));

/** Returns the state of a tab, with its severity. */
function tabState({ desired, actual, drift }) {
  if (actual?.healthy) return { level: "good", text: "ready" };
  if (actual?.issue === "permission_missing") return { level: "wait", text: "access not allowed yet" };
  if (!actual?.exists) return drift?.needs_restore || desired?.exists ? { level: "wait", text: "gone" } : { level: "none", text: "none" };
  return { level: "wait", text: actual.issue ? spoken(line(actual.issue)) : "loading" };
}

/** A connected Firefox with its tabs. */
export function clientViews(browser, now) {
  return browser.bridge.clients.map((client) => ({
    key: client.client_id,
    name: line(client.client_id),
    isActive: client.client_id === browser.bridge.active_client_id,
    facts: `Connected ${ago(client.connected_at, now)}, last message ${ago(client.last_message_at, now)}${client.in_flight > 0 ? `, ${count(client.in_flight, "request")} in progress` : ""}`,
    tabs: client.shell_runtime
      .filter((tab) => tab.actual?.exists || tab.desired?.exists)
      .map((tab) => ({ key: tab.platform, platform: titleOf(browser, tab.platform), title: line(tab.actual?.title ?? ""), ...tabState(tab) })),
  }));
}

const titleOf = (browser, platform) => line(browser.platforms.find((known) => known.platform === platform)?.title ?? platform);

/** Returns the next step for a login: its text, and the action that performs it. */
function nextStep(login, tab, isHere) {
  if (!isHere) return { text: "Start that Firefox.", action: null };
  const [open, act] = tab?.actual?.exists ? ["Show its tab", "tab_focus"] : ["Open its tab", "tab_open"];
  if (login === "lost") return { text: "Log in again there.", action: act, label: open };
  if (tab && (tab.drift?.needs_restore || (tab.desired?.exists && !tab.actual?.exists))) {
    return { text: "Its tab is closed.", action: "tab_restore", label: "Restore its tab" };
  }
  if (login === "aged") return tab?.actual?.exists ? { text: "Check whether it is still valid.", action: "tab_reload", label: "Reload its tab" } : { text: "Check whether it is still valid.", action: "tab_open", label: open };
  return { text: "", action: null };
}

/**
 * The login states: `fresh`, `aged` (not seen lately), `away` (its Firefox is not connected), `lost` (the app refused
 * it).
 */
export function loginOf(record) {
  if (record.live?.credentials?.freshness === "lost") return "lost";
  if (record.status === "fresh") return "fresh";
  return record.live === null ? "away" : "aged";
}

const LOGINS = {
  fresh: { level: "good", text: "logged in" },
  aged: { level: "none", text: "not seen lately" },
  away: { level: "none", text: "Firefox is not connected" },
  lost: { level: "bad", text: "logged out" },
};

/** Every login, and each platform without one. */
export function loginViews(browser, now) {
  const here = new Set(browser.bridge.clients.map(({ client_id }) => client_id));
  const tabs = new Map(browser.bridge.clients.flatMap((client) => client.shell_runtime.map((tab) => [`${client.client_id} ${tab.platform}`, tab])));
  const logins = browser.records.map((record) => {
    const isHere = here.has(record.client_id);
    const login = isHere && record.live === null && record.status === "fresh" ? "fresh" : loginOf(record);
    const seen = newest(record.live?.credentials?.last_seen_at, record.persisted?.last_seen_at);
    return {
      key: `${record.platform} ${record.client_id} ${record.account ?? ""}`,
      platform: titleOf(browser, record.platform),
      who: [record.account, record.client_id].filter(Boolean).map(line).join(", "),
      ...LOGINS[login],
      seen: seen === 0 ? "never" : ago(seen, now),
      next: { ...nextStep(login, tabs.get(`${record.client_id} ${record.platform}`), isHere), platform: record.platform, client: record.client_id },
    };
  });
  const without = browser.platforms.filter(({ platform }) => !browser.records.some((record) => record.platform === platform));
  const none = without.map(({ platform }) => ({
    key: `${platform} none`,
    platform: titleOf(browser, platform),
    who: "",
    level: "none",
    text: "never seen",
    seen: "never",
    next: here.size === 0 ? { text: "Connect a Firefox first.", action: null } : { text: "If you use it, log in there.", action: "tab_open", label: "Open its tab", platform, client: browser.bridge.active_client_id },
  }));
  return [...logins, ...none];
}

const CIRCUITS = { closed: "good", half_open: "wait", open: "bad" };

/** Returns the state of a target in words. */
export function targetWords(target, now) {
  const failures = target.consecutive_failures ?? 0;
  const after = failures > 0 ? ` after ${count(failures, "failure")}` : "";
  if (target.circuit_state === "open") {
    return target.circuit_retry_at > now ? `Refuses${after}, next probe in ${left(target.circuit_retry_at, now)}` : `Refused${after}; the next request is the probe`;
  }
  if (target.circuit_state === "half_open") return "A probe is in progress";
  if (target.backoff_until > now) return `In back-off for another ${left(target.backoff_until, now)}${after}`;
  return failures > 0 ? `Available${after}` : "Available";
}

/** The policy targets. */
export const targetViews = (browser, now) =>
  browser.policy.targets.map((target) => ({
    key: `${target.client_id} ${target.platform}`,
    platform: titleOf(browser, target.platform),
    client: line(target.client_id),
    level: CIRCUITS[target.circuit_state] ?? "none",
    circuit: spoken(target.circuit_state),
    words: targetWords(target, now),
    load: `${target.in_flight ?? 0} under way, ${target.waiting ?? 0} waiting`,
    last: target.last_error ? error(line(target.last_error)) : "none",
    canReset: target.circuit_state !== "closed" || (target.consecutive_failures ?? 0) > 0,
    reset: { client_id: target.client_id, platform: target.platform },
  }));

/** The pacing of each platform. */
export const pacingViews = (browser, now) =>
  browser.policy.platforms.map((platform) => {
    const most = (platform.limits ?? browser.policy.defaults)?.rate_limit?.requests_per_minute_per_platform;
    const window = (platform.limits ?? browser.policy.defaults)?.rate_limit?.window_ms ?? 60_000;
    return {
      key: platform.platform,
      platform: titleOf(browser, platform.platform),
      sent: known(most) ? `${platform.recent_dispatch_count ?? 0} of ${most} in ${span(window)}` : String(platform.recent_dispatch_count ?? 0),
      waiting: String(platform.waiting ?? 0),
      next: platform.next_slot_at > now ? `in ${left(platform.next_slot_at, now)}` : "now",
    };
  });

const RULES = {
  target_slot: "waits for a slot",
  slot: "waits for a slot",
  circuit: "waits for the try of another",
  backoff: "waits for the rest to end",
  rate_limit: "waits for the window",
  jitter: "pauses at random",
};

/** Returns the phase or outcome of a request, with its severity. */
function phaseOf(request, now) {
  if (underWay(request)) {
    const waiting = request.phase === "queued" && request.waiting;
    const until = waiting && waiting.until > now ? `, ${left(waiting.until, now)}` : "";
    const detail = waiting ? `${RULES[waiting.rule] ?? spoken(line(waiting.rule ?? ""))}${until}` : "";
    return { level: "live", phase: request.phase, detail };
  }
  const status = known(request.status) ? String(request.status) : "";
  if (request.outcome === "success") return { level: "good", phase: "done", detail: status };
  const why = request.error_code ? error(line(request.error_code)) : "";
  if (request.outcome === "cancelled") return { level: "none", phase: "cancelled", detail: why };
  return { level: "bad", phase: "failed", detail: [why, status].filter(Boolean).join(", ") };
}

/** Requests: live ones first, then the latest that ended. */
export function requestViews(state, now, most) {
  const all = [...state.requests.values()].reverse();
  const begun = (request) => request.requested_at ?? 0;
  const live = all.filter(underWay).sort((a, b) => begun(b) - begun(a));
  const ended = all.filter((request) => !underWay(request)).sort((a, b) => (b.finished_at ?? 0) - (a.finished_at ?? 0));
  return [...live, ...ended].slice(0, most).map((request) => ({
    key: request.request_id,
    id: line(request.request_id),
    platform: state.browser ? titleOf(state.browser, request.platform) : line(request.platform ?? ""),
    call: request.path ? `${line(request.method ?? "")} ${line(request.path)}`.trim() : "",
    client: line(request.client_id ?? ""),
    when: begun(request) === 0 ? "" : new Date(begun(request)).toLocaleTimeString("en-GB"),
    ...phaseOf(request, now),
    took: begun(request) === 0 ? "" : took((underWay(request) ? now : request.finished_at) - begun(request)),
    size: request.event_count > 0 ? `${count(request.event_count, "event")}, ${bytes(request.bytes ?? 0)}` : known(request.bytes) && request.bytes > 0 ? bytes(request.bytes) : "",
    cancel: underWay(request) ? { request_id: request.request_id, platform: request.platform } : null,
  }));
}

/** The numbers above everything else. */
export function tiles(state) {
  const { status, browser } = state;
  const clients = browser?.bridge.client_count ?? status?.bridge.client_count;
  const ready = browser?.platforms.filter((platform) => platform.ready).length;
  const live = [...state.requests.values()].filter(underWay).length;
  const targets = browser?.policy.targets ?? [];
  const open = browser ? targets.filter(({ circuit_state }) => circuit_state !== "closed").length : status?.policy.open_circuits;
  const waiting = browser ? targets.reduce((sum, target) => sum + (target.waiting ?? 0), 0) + browser.policy.platforms.reduce((sum, platform) => sum + (platform.waiting ?? 0), 0) : status?.policy.waiting;
  const tile = (key, label, value, level = "none") => ({ key, label, value: value === undefined ? "–" : String(value), level });
  return [
    tile("clients", "Firefox connected", clients, clients === 0 ? "wait" : "none"),
    tile("ready", "Platforms logged in", browser ? `${ready} of ${browser.platforms.length}` : undefined),
    tile("live", "Requests in progress", browser ? live : status?.in_flight_requests),
    tile("waiting", "Waiting in queue", waiting),
    tile("open", "Circuits open", open, open > 0 ? "bad" : "none"),
  ];
}

/** The mode, for its buttons. */
export const modeView = (state) => ({
  mode: state.status?.mode ?? null,
  since: state.system && state.system.mode === state.status?.mode ? state.system : null,
});
