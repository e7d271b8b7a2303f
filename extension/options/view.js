/** The words of the options page. Pure. */
import { isLoopbackSocket, patterns } from "../background/hosts.js";

const STATES = {
  idle: "Disconnected",
  connecting: "Disconnected, dialling",
  hello: "Disconnected, greeting",
  pairing: "Waiting for pairing",
  connected: "Connected",
  waiting: "Disconnected",
};

/** The connection in words. */
export const stateText = ({ state }) => STATES[state] ?? state;

/** The pairing in words. */
export function pairingText({ paired_at, confirmed_at }) {
  if (paired_at !== null) return `Paired since ${new Date(paired_at).toLocaleString()}.`;
  if (confirmed_at === null) return "Not paired with the daemon at this address.";
  return `Not paired: since ${new Date(confirmed_at).toLocaleString()} any program that answers at this address is let in, as you confirmed.`;
}

/** What a daemon without pairing does not get until it is confirmed. */
export function waitingText({ waiting_messages: count }) {
  const messages = count === 0 ? "" : `, and ${count === 1 ? "one final message that was seen meanwhile" : `${count} final messages that were seen meanwhile`}`;
  return `Until then these wait: requests of programs, actions on tabs, reports of logins and tabs${messages}.`;
}

/** What the operator runs to let this browser in. */
export const pairCommand = (code) => `baa-conductor pair ${code}`;

const ISSUES = {
  permission_missing: "access is not allowed yet",
  crashed: "crashed",
  discarded: "unloaded by Firefox",
  navigated_away: "shows another site",
  not_ready: "cannot be used until it is loaded again",
  loading: "loading",
};

/** A platform's tab in words. */
export function tabText({ desired, actual }) {
  if (actual.issue === "permission_missing") return "Firefox does not let the extension in: access is not allowed yet.";
  if (!actual.exists) {
    if (desired.exists) return "Missing, although wanted.";
    return actual.candidate_tab_id === undefined ? "None." : "None of its own; an open one can be used.";
  }
  return actual.healthy ? `Ready: ${actual.url}` : `There, but ${ISSUES[actual.issue] ?? actual.issue}.`;
}

/** A platform's login in words. */
export function loginText(login) {
  if (login === null) return "Not seen yet.";
  const words = { fresh: "Seen", stale: "Seen a while ago", lost: "Refused by the app: log in again" }[login.freshness];
  const account = login.account ? ` as ${login.account}` : "";
  const fingerprint = login.credential_fingerprint.slice(0, 12);
  return `${words}${account}, ${login.header_names.length} headers, fingerprint ${fingerprint}.`;
}

/** A platform's prompt template in words. */
export function templateText(template) {
  if (template === null) return "Not used with this platform.";
  if (template.known === null) return "None yet: send a message in the app once.";
  const { learned_at, accepted_at, stale, in_memory, usable } = template.known;
  const when = (at) => new Date(at).toLocaleString();
  if (stale) return `Stale: the app refused it at ${when(stale.at)} with ${stale.status}. Send a message in the app to learn a new one.`;
  const words = [`Learned at ${when(learned_at)}`, accepted_at === undefined ? "not tried yet" : `accepted by the app at ${when(accepted_at)}`];
  const kept = in_memory ? " It may hold a secret, so it is forgotten when Firefox ends." : "";
  return `${words.join(", ")}.${usable ? "" : " Not used: it is of another account or address."}${kept}`;
}

/** What is wrong with a platform, if anything. */
export function problemText({ runtime, login, drift, failure }) {
  const problems = [];
  if (runtime.drift.needs_restore) problems.push(`The tab is not as wanted: ${(runtime.drift.reason ?? "unknown").replaceAll("_", " ")}.`);
  if (login?.freshness === "lost") problems.push("The login is lost.");
  if (drift > 0) problems.push(`The app's traffic was not understood ${drift} times.`);
  if (failure) problems.push(`A request failed at ${new Date(failure.at).toLocaleTimeString()}: ${failure.code.replaceAll("_", " ")}.`);
  return problems.join(" ") || "None.";
}

const MODES = { pause: "paused", resume: "running", drain: "draining" };

/** Whether the daemon is in the mode that an action leads to. */
export const isMode = (system, action) => system.mode === MODES[action];

/** The daemon's mode in words. */
export function modeText(system) {
  if (system === null) return "Not known while disconnected.";
  const words = { running: "Running", paused: "Paused: instructions wait", draining: "Draining: no new requests" }[system.mode] ?? system.mode;
  const since = `since ${new Date(system.changed_at).toLocaleString()}`;
  return `${words}, ${since}${system.reason ? `: ${system.reason}` : ""}.`;
}

/** What is wrong with an address, or "". */
export function addressFault(address) {
  return isLoopbackSocket(address) ? "" : "It must begin with ws:// and name this machine: 127.0.0.1, localhost or [::1].";
}

/** What to ask Firefox for, to enter a platform. */
export const permissionRequest = (platform) => ({ origins: patterns(platform) });
