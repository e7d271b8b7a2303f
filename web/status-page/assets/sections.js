/** Updates the sections of the page. Buttons pass on their action; it is performed elsewhere. */
import { at, fill, keyed, made, partOf, say, show, weigh } from "./dom.js";
import { clientViews, loginViews, modeView, pacingViews, requestViews, targetViews, tiles } from "./views.js";
import { count, line, span } from "./words.js";

/** Number of shown requests, collapsed and expanded. */
const REQUESTS = { few: 10, many: 100 };

const LINKS = { connecting: "Connecting", live: "Live", polling: "Polling every few seconds", down: "Not connected" };
const ACCESS = { unknown: "", all: "Logged in", local: "Not logged in", none: "Not logged in" };

/** The current action of each button. */
const orders = new WeakMap();

/** Adds a button that passes on the current action of its row. */
function ordering(element, name, act) {
  const button = element.querySelector(`[data-do="${name}"]`);
  button.addEventListener("click", () => act(orders.get(button)));
  return element;
}

/** Sets a button's action; without one the button is hidden. `label`: its text for screen readers. */
function order(element, name, given, label) {
  const button = element.querySelector(`[data-do="${name}"]`);
  show(button, given !== null);
  orders.set(button, given);
  if (label !== undefined && button.getAttribute("aria-label") !== label) button.setAttribute("aria-label", label);
  return button;
}

export function showTop(state) {
  const link = state.reachable ? state.link : "down";
  at("link").dataset.link = link;
  say(at("link-words"), LINKS[link]);
  const { mode, since } = modeView(state);
  for (const button of at("mode").querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
    button.disabled = mode === null || state.elsewhere !== null;
  }
  at("mode").title = since?.reason ? `Reason: ${line(since.reason)}` : "";
  say(at("session-words"), state.elsewhere ? "" : ACCESS[state.access]);
  show(at("log-out"), state.access === "all");
  say(at("about"), state.status ? `Version ${state.status.version}, running for ${span(state.status.uptime_ms)}` : "");
}

export function showHeadline({ level, title, items }) {
  weigh(at("headline"), level);
  say(at("headline-title"), title);
  document.title = level === "good" || level === "note" ? "baa-conductor" : `(!) ${title} – baa-conductor`;
  const views = items.map((item) => ({ ...item, what: item.what === title ? "" : item.what, key: `${item.what} ${item.at}` }));
  keyed(at("headline-items"), views, () => made("headline-item"), (element, view) => {
    weigh(element, view.level);
    fill(element, view, ["what", "more"]);
    const link = partOf(element, "at");
    show(link, view.at !== null);
    if (view.at !== null && link.getAttribute("href") !== `#${view.at}`) {
      link.setAttribute("href", `#${view.at}`);
      link.setAttribute("aria-label", `Show: ${view.what || title}`);
    }
  });
}

export function showTiles(state) {
  keyed(at("tiles"), tiles(state), () => made("tile"), (element, view) => {
    weigh(element, view.level);
    fill(element, view, ["label", "value"]);
  });
}

export function showClients(browser, now) {
  const views = clientViews(browser, now);
  show(at("clients-none"), views.length === 0);
  keyed(at("clients-list"), views, () => made("client"), (element, view) => {
    fill(element, view, ["name", "facts"]);
    show(partOf(element, "active"), view.isActive && views.length > 1);
    const tabs = view.tabs.length > 0 ? view.tabs : [{ key: "", platform: "No tabs of platforms.", text: "", title: "", level: "none" }];
    keyed(partOf(element, "tabs"), tabs, () => made("client-tab"), (row, tab) => {
      fill(row, tab, ["platform", "text", "title"]);
      weigh(partOf(row, "text"), tab.level);
    });
  });
}

export function showPaired(paired, forget) {
  show(at("paired"), paired.length > 0);
  say(at("paired-title"), `${count(paired.length, "paired Firefox", "paired Firefoxes")}`);
  keyed(at("paired-list"), paired, () => ordering(made("paired-item"), "forget", forget), (element, view) => {
    fill(element, view, ["client", "when"]);
    order(element, "forget", { client: view.key }, `Forget ${view.client}`);
  });
}

export function showLogins(browser, now, act) {
  keyed(at("logins-list"), loginViews(browser, now), () => ordering(made("login"), "next", act), (element, view) => {
    fill(element, view, ["platform", "who", "text", "seen"]);
    weigh(partOf(element, "text"), view.level);
    say(partOf(element, "next"), view.next.text);
    const { action, label, platform, client } = view.next;
    const button = order(element, "next", action && { action, platform, client_id: client ?? undefined }, `${label}: ${view.platform}`);
    say(button, label ?? "");
  });
}

export function showTargets(browser, now, mayReset, reset) {
  const views = targetViews(browser, now);
  show(at("targets-none"), views.length === 0);
  show(at("targets-table"), views.length > 0);
  keyed(at("targets-list"), views, () => ordering(made("target"), "reset", reset), (element, view) => {
    fill(element, view, ["platform", "client", "circuit", "words", "load", "last"]);
    weigh(partOf(element, "circuit"), view.level);
    order(element, "reset", mayReset && view.canReset ? view.reset : null, `Reset ${view.platform} in ${view.client}`);
  });
  keyed(at("pacing-list"), pacingViews(browser, now), () => made("pace"), (element, view) => fill(element, view, ["platform", "sent", "waiting", "next"]));
}

export function showRequests(state, now, cancel) {
  const more = at("requests-more");
  const isWide = more.getAttribute("aria-expanded") === "true";
  const views = requestViews(state, now, isWide ? REQUESTS.many : REQUESTS.few);
  show(more, isWide || state.requests.size > REQUESTS.few);
  say(more, isWide ? "Show fewer" : "Show more");
  show(at("requests-none"), views.length === 0);
  show(at("requests-table"), views.length > 0);
  keyed(at("requests-list"), views, () => ordering(made("request"), "cancel", cancel), (element, view) => {
    fill(element, view, ["when", "platform", "call", "id", "phase", "detail", "took", "size"]);
    weigh(partOf(element, "phase"), view.level);
    order(element, "cancel", view.cancel, `Cancel ${view.id}`);
  });
}

/** `draw`: updates the page again. */
export function listen(draw) {
  at("requests-more").addEventListener("click", ({ currentTarget }) => {
    currentTarget.setAttribute("aria-expanded", String(currentTarget.getAttribute("aria-expanded") !== "true"));
    draw();
  });
}
