/** The sentence at the top: whether all is well, and if not, what needs attention and where. Pure. */
import { loginViews, targetWords } from "./views.js";
import { count, line } from "./words.js";

/** The severity of each level; the highest one colours the headline. */
const WEIGHT = { good: 0, note: 1, wait: 2, bad: 3 };

const item = (level, what, more = "", at = null) => ({ level, what, more, at });

function ofStore({ status }) {
  if (status?.store.status !== "unavailable") return [];
  const faults = (status.store.faults ?? []).map(line).join("; ");
  return [item("bad", "The database cannot be read or written.", `Requests continue, instructions stop. Check the free disk space and the owner of the file.${faults ? ` ${faults}.` : ""}`)];
}

function ofMode({ status, system }) {
  const reason = system?.mode === status?.mode && system?.reason ? ` The reason given: ${line(system.reason)}.` : "";
  if (status?.mode === "draining") return [item("wait", "The system is draining.", `New requests are refused until you press Resume.${reason}`, "mode")];
  if (status?.mode === "paused") return [item("wait", "The system is paused.", `Requests are served, live instructions wait until you press Resume.${reason}`, "mode")];
  return [];
}

function ofPairings({ pairings }) {
  const waiting = (pairings ?? []).filter(({ status }) => status === "waiting");
  return waiting.length === 0 ? [] : [item("wait", `${count(waiting.length, "Firefox waits", "Firefoxes wait")} for pairing.`, "Enter the code that it shows.", "pairings")];
}

function ofBatches({ batches }) {
  if (!batches || batches.length === 0) return [];
  return [item("wait", `${count(batches.length, "batch of instructions waits", "batches of instructions wait")} for your decision.`, "Read what would run, then approve or reject.", "batches")];
}

function ofClients({ browser, status }) {
  const number = browser?.bridge.client_count ?? status?.bridge.client_count;
  if (number !== 0) return [];
  return [item("bad", "No Firefox is connected.", "Start the Firefox that has the extension; its toolbar button shows the state. Not paired yet? Log in here and enter the code that it shows.", "clients")];
}

function ofLogins({ browser }, now) {
  if (!browser || browser.bridge.client_count === 0) return [];
  const lost = loginViews(browser, now).filter(({ text }) => text === "logged out");
  const items = lost.map(({ platform, who }) => item("bad", `You are logged out of ${platform}.`, `Log in again in its tab (${who}).`, "logins"));
  if (lost.length === 0 && !browser.platforms.some(({ ready }) => ready)) {
    items.push(item("wait", "No platform is logged in.", "Open the tab of one and log in there.", "logins"));
  }
  return items;
}

function ofTargets({ browser }, now) {
  const open = (browser?.policy.targets ?? []).filter(({ circuit_state }) => circuit_state === "open");
  return open.map((target) => {
    const platform = browser.platforms.find((known) => known.platform === target.platform)?.title ?? target.platform;
    const why = target.last_error ? `, the last one: ${line(target.last_error).replace(/^http_/, "HTTP ").replaceAll("_", " ")}` : "";
    return item("bad", `The circuit of ${line(platform)} is open.`, `${line(target.client_id)}: ${targetWords(target, now).toLowerCase()}${why}.`, "targets");
  });
}

const sole = (level, what, more) => ({ level, title: what, items: [item(level, what, more)] });

/** `level` colours the headline, `title` is its sentence, `items` are the reasons, the most severe first. */
export function headline(state, now) {
  if (state.elsewhere) return sole("note", "This address shows only numbers.", `The whole page is at ${state.elsewhere}`);
  if (!state.reachable) return sole("bad", "The daemon does not answer.", "Is it running? This page reconnects by itself. To start the daemon: baa-conductor serve");
  if (state.access === "none") return sole("wait", "Log in to see the status.", state.refused ?? "In a terminal: baa-conductor open");
  if (!state.status || !state.browser) return { level: "note", title: "Loading…", items: [] };
  const parts = [ofStore, ofBatches, ofPairings, ofClients, ofTargets, ofLogins, ofMode];
  const items = parts.flatMap((part) => part(state, now));
  if (state.refused) items.push(item("note", "This page could not log in.", state.refused));
  items.sort((a, b) => WEIGHT[b.level] - WEIGHT[a.level]);
  const needs = items.filter(({ level }) => level !== "note");
  if (needs.length === 0) return { level: "good", title: "All is well.", items };
  const title = needs.length === 1 ? needs[0].what : `${needs.length} things need you.`;
  return { level: needs[0].level, title, items };
}
