/** The texts of the options page. Pure. */
import { isLoopbackSocket, patterns } from "../background/hosts.js";

const STATES = {
  idle: "Disconnected",
  connecting: "Disconnected, connecting",
  hello: "Disconnected, waiting for the daemon's acknowledgement",
  pairing: "Waiting for pairing",
  connected: "Connected",
  waiting: "Disconnected",
};

/** Returns the text of the connection's state. */
export const stateText = ({ state }) => STATES[state] ?? state;

/** Returns the text of the pairing's state. */
export function pairingText({ paired_at, confirmed_at }) {
  if (paired_at !== null) return `Paired since ${new Date(paired_at).toLocaleString()}.`;
  if (confirmed_at === null) return "Not paired with the daemon at this address.";
  return `Not paired: since ${new Date(confirmed_at).toLocaleString()} any program that answers at this address is accepted, as you confirmed.`;
}

/** Returns the text about what waits until a daemon without pairing is confirmed. */
export function waitingText({ waiting_messages: count }) {
  const messages = count === 0 ? "" : `, and ${count === 1 ? "1 final message" : `${count} final messages`}`;
  return `Until you confirm it, these wait: requests of programs, actions on tabs, reports of logins and tabs${messages}.`;
}

/** Returns the command by which the operator approves this browser. */
export const pairCommand = (code) => `baa-conductor pair ${code}`;

const ISSUES = {
  permission_missing: "access is not allowed yet",
  crashed: "crashed",
  discarded: "unloaded by Firefox",
  navigated_away: "shows another site",
  not_ready: "cannot be used until it is reloaded",
  loading: "loading",
};

/** Returns the text of a platform's tab. */
export function tabText({ desired, actual }) {
  if (actual.issue === "permission_missing") return "Access is not allowed yet: press Allow access.";
  if (!actual.exists) {
    if (desired.exists) return "Missing: press Restore.";
    return actual.candidate_tab_id === undefined ? "None." : "None yet; a tab that is open can be used.";
  }
  return actual.healthy ? `Ready: ${actual.url}` : `Open, but ${ISSUES[actual.issue] ?? actual.issue}.`;
}

/** Returns the text of a platform's login. */
export function loginText(login) {
  if (login === null) return "Not seen yet.";
  const words = { fresh: "Seen", stale: "Seen a while ago", lost: "Refused by the app: log in again" }[login.freshness];
  const account = login.account ? ` as ${login.account}` : "";
  const fingerprint = login.credential_fingerprint.slice(0, 12);
  return `${words}${account}, ${login.header_names.length} headers, fingerprint ${fingerprint}.`;
}

/** Returns the text of a platform's prompt template. */
export function templateText(template) {
  if (template === null) return "Not used with this platform.";
  if (template.known === null) return "None yet: send a message in the app once.";
  const { learned_at, accepted_at, stale, in_memory, usable } = template.known;
  const when = (at) => new Date(at).toLocaleString();
  if (stale) return `Stale: the app refused it at ${when(stale.at)} with ${stale.status}. Send a message in the app to learn a new one.`;
  const words = [`Learned at ${when(learned_at)}`, accepted_at === undefined ? "not tried yet" : `accepted by the app at ${when(accepted_at)}`];
  const kept = in_memory ? " It may contain a secret, so it is forgotten when Firefox ends." : "";
  return `${words.join(", ")}.${usable ? "" : " Not used: it was learned for another account or address."}${kept}`;
}

/** Returns the text of a platform's problems. */
export function problemText({ runtime, login, drift, failure }) {
  const problems = [];
  if (runtime.drift.needs_restore) problems.push(`The tab needs to be restored: ${(runtime.drift.reason ?? "unknown").replaceAll("_", " ")}.`);
  if (login?.freshness === "lost") problems.push("The login is lost.");
  if (drift > 0) problems.push(`Answers of the app in an unknown format: ${drift}.`);
  if (failure) problems.push(`A request failed at ${new Date(failure.at).toLocaleTimeString()}: ${failure.code.replaceAll("_", " ")}.`);
  return problems.join(" ") || "None.";
}

const MODES = { pause: "paused", resume: "running", drain: "draining" };

/** Whether the daemon is in the mode that an action sets. */
export const isMode = (system, action) => system.mode === MODES[action];

/** Returns the text of the daemon's mode. */
export function modeText(system) {
  if (system === null) return "Unknown while disconnected.";
  const words = { running: "Running", paused: "Paused: instructions wait", draining: "Draining: no new requests" }[system.mode] ?? system.mode;
  const since = `since ${new Date(system.changed_at).toLocaleString()}`;
  return `${words}, ${since}${system.reason ? `: ${system.reason}` : ""}.`;
}

/** Returns what is wrong with an address, or "". */
export function addressFault(address) {
  return isLoopbackSocket(address) ? "" : "The address must begin with ws:// and name this machine: 127.0.0.1, localhost or [::1].";
}

/** Returns the permissions that a platform needs. */
export const permissionRequest = (platform) => ({ origins: patterns(platform) });
