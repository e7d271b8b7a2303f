/** The entry point of the status page: requests data, follows events, updates the page. */
import { Api, part } from "./api.js";
import { Charts } from "./charts.js";
import { showBatches, showPairings } from "./decide.js";
import { at, say, show } from "./dom.js";
import { headline } from "./headline.js";
import { Live } from "./live.js";
import { EVERYTHING, Loader } from "./load.js";
import { listen, showClients, showHeadline, showLogins, showRequests, showTargets, showTiles, showTop } from "./sections.js";
import { Session } from "./session.js";
import { Source } from "./source.js";
import { start, tidy, told } from "./state.js";
import { line } from "./words.js";

/** Milliseconds between complete refreshes, with and without live events. */
const LOOK_MS = { live: 15_000, polling: 5_000 };
/** Pairings have no events. */
const PAIRINGS_MS = 4_000;
/** Milliseconds between refreshes caused by events, and between two drawings. */
const ASK_MS = 500;
const DRAW_MS = 100;
const TICK_MS = 1_000;

const state = start();
const session = new Session({ shelf: () => localStorage, random: (bytes) => crypto.getRandomValues(bytes) });
/** The way of every request of the page. */
const send = (path, options) => fetch(path, { ...options, headers: { ...options.headers, ...session.headers() } });
const api = new Api(send);
const loader = new Loader(api, state);
const charts = new Charts();
const clock = () => Date.now() + state.skew;

let toAsk = new Set();
let asking = null;
let lastLook = 0;
let lastPairings = 0;
let toDraw = false;

/** Schedules a refresh of these parts, together with others that are due by then. */
function ask(parts) {
  for (const name of parts) toAsk.add(name);
  if (toAsk.size > 0) asking ??= setTimeout(round, ASK_MS);
}

async function round() {
  const parts = toAsk;
  toAsk = new Set();
  await loader.load(parts, Date.now());
  asking = null;
  ask([]);
  draw();
}

function look() {
  lastLook = Date.now();
  lastPairings = lastLook;
  ask(EVERYTHING);
}

function draw() {
  if (toDraw) return;
  toDraw = true;
  setTimeout(() => {
    toDraw = false;
    paint();
  }, DRAW_MS);
}

function paint() {
  const now = clock();
  const { browser } = state;
  showTop(state);
  showHeadline(headline(state, now));
  const isWhole = browser !== null && state.access !== "none" && state.elsewhere === null;
  show(at("whole"), isWhole);
  if (!isWhole) return;
  showTiles(state);
  showPairings(state, now, { decide: decidePairing, forget: forgetClient });
  showBatches(state, loader.details, now, { approve, reject });
  showRequests(state, now, cancel);
  showClients(browser, now);
  showLogins(browser, now, act);
  showTargets(browser, now, state.access === "all", reset);
  charts.draw(state.series, now);
}

/** Performs a button's action and reports its result. */
async function perform(words, call, parts) {
  say(at("said"), `${words}…`);
  const answer = await call;
  say(at("said"), answer.ok ? `${words}: ${answer.data?.failed ? `failed, ${answer.data.reason ?? "the extension says not why"}` : "done"}.` : `${words}: ${answer.message || answer.error}`);
  if (answer.status === 401) state.access = "local";
  ask(parts);
  draw();
  return answer;
}

const act = (order) => perform(order.action.replaceAll("_", " "), api.post("/v1/browser/actions", { ...order, reason: "status_page" }), ["browser"]);
const cancel = (order) => perform(`Cancel ${order.request_id}`, api.post("/v1/browser/request/cancel", { ...order, reason: "status_page" }), ["requests"]);
const reset = (order) => perform("Reset", api.post("/v1/browser/policy/reset", order), ["browser"]);
const decidePairing = (client, decision) => perform(`${decision.decision === "approve" ? "Pair" : "Reject"} ${client}`, api.post(`/v1/browser/pairings/${part(client)}`, decision), EVERYTHING);
const approve = (batch, digest) => perform("Approve", api.post(`/v1/instructions/${part(batch)}/approve`, { digest }), ["batches", "status"]);
const reject = (batch, reason) => perform("Reject", api.post(`/v1/instructions/${part(batch)}/reject`, reason === "" ? {} : { reason }), ["batches"]);
const setMode = (button) => perform(button.textContent, api.post(`/v1/system/${button.dataset.act}`, { reason: "status page" }), ["status"]);

function forgetClient({ client }) {
  const question = `Forget ${line(client)}? It is disconnected at once and must be paired again.`;
  if (confirm(question)) perform(`Forget ${client}`, api.delete(`/v1/browser/pairings/${part(client)}`), EVERYTHING);
}

async function logOut() {
  const answer = await perform("Log out", api.delete("/v1/session"), []);
  if (answer.ok) session.begun(undefined);
  Object.assign(state, { access: "unknown", batches: null, pairings: null });
  look();
}

/** Logs in with the code in the hash, and removes it from the address and the history. */
async function logIn() {
  const code = new URLSearchParams(location.hash.slice(1)).get("code");
  if (code === null) return;
  history.replaceState(null, "", location.pathname + location.search);
  const key = session.draw();
  const answer = await api.post("/v1/session", key === undefined ? { code } : { code, key });
  state.refused = answer.ok ? null : answer.message;
  if (answer.ok) {
    session.begun(key);
    state.access = "unknown";
    live.open();
  }
  look();
}

const seen = {};
const live = new Live({
  make: (path) => new Source(path, { ask: send, seen }),
  later: (action, ms) => setTimeout(action, ms),
  told: (name, data) => {
    ask(told(state, name, data));
    draw();
  },
  link: (isLive) => {
    state.link = isLive ? "live" : "polling";
    // Events before the stream opened were missed, and the reason of its last end is unknown.
    look();
    draw();
  },
});

function tick() {
  const now = Date.now();
  tidy(state, clock());
  if (now - lastLook >= LOOK_MS[state.link === "live" ? "live" : "polling"]) look();
  if (state.access === "all" && state.pairings !== null && now - lastPairings >= PAIRINGS_MS) {
    lastPairings = now;
    ask(["pairings"]);
  }
  draw();
}

for (const button of at("mode").querySelectorAll("button")) button.addEventListener("click", () => setMode(button));
listen(draw);
at("log-out").addEventListener("click", logOut);
addEventListener("hashchange", logIn);
document.addEventListener("visibilitychange", () => document.hidden || look());

await logIn();
live.open();
look();
setInterval(tick, TICK_MS);
