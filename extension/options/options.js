/** The extension's page: shows what the background knows and hands on what is asked for. */
import { addressFault, isMode, loginWords, modeWords, pairCommand, pairingWords, problemWords, stateWords, tabWords, templateWords, waitingWords, wantedOrigins } from "./view.js";

const at = (id) => document.getElementById(id);
const platforms = new Map();
let port = null;
let lines = "";
/** The address that the question about a daemon without pairing is about. */
let unpaired = "";

/** Sets text only where it differs, so that a screen reader hears only what is new. */
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function connect() {
  port = browser.runtime.connect({ name: "options" });
  port.onMessage.addListener(({ state, done, platform, ok }) => {
    if (state) show(state);
    if (done) say(at("said"), `${(platform ?? "").trim()} ${done.replaceAll("_", " ")}: ${ok ? "done" : "failed"}.`.trim());
  });
}

const ask = (message) => port.postMessage(message);

function show(state) {
  const { link } = state;
  at("state").dataset.state = link.state;
  say(at("state"), stateWords(link));
  say(at("note"), link.note);
  at("pairing").hidden = link.code === null;
  say(at("code"), link.code ?? "");
  say(at("pairing-address"), link.address);
  say(at("pair-command"), pairCommand(link.code ?? ""));
  tellCodeShown();
  at("unpaired").hidden = !link.is_unconfirmed;
  unpaired = link.address;
  say(at("unpaired-address"), unpaired);
  say(at("unpaired-waiting"), waitingWords(link));
  say(at("paired"), pairingWords(link));
  at("forget-pairing").hidden = link.paired_at === null;
  at("withdraw-unpaired").hidden = link.confirmed_at === null;
  say(at("client-id"), state.client_id);
  say(at("default-address"), state.default_address);
  say(at("running"), String(state.running));
  say(at("mode"), modeWords(state.system));
  for (const button of document.querySelectorAll("[data-mode]")) {
    button.disabled = state.system === null || isMode(state.system, button.dataset.mode);
  }
  const address = at("address");
  if (document.activeElement !== address) address.value = link.address;
  at("no-platforms").hidden = state.platforms.length > 0;
  const names = new Set(state.platforms.map(({ name }) => name));
  for (const [name, { article }] of platforms) {
    if (names.has(name)) continue;
    article.remove();
    platforms.delete(name);
  }
  for (const platform of state.platforms) showPlatform(platform);
  showLog(state.log);
}

/** An approval counts only where somebody can have read the code that it names. */
function tellCodeShown() {
  const code = at("code").textContent;
  if (code !== "" && document.visibilityState === "visible") ask({ ask: "code_shown", code });
}

function showPlatform(platform) {
  if (!platforms.has(platform.name)) platforms.set(platform.name, { article: addPlatform(platform) });
  const entry = platforms.get(platform.name);
  entry.platform = platform;
  const { article } = entry;
  const part = (of) => article.querySelector(`[data-of="${of}"]`);
  say(article.querySelector("h3"), platform.title || platform.name);
  say(part("tab"), tabWords(platform.runtime));
  say(part("login"), loginWords(platform.login));
  say(part("endpoints"), String(platform.endpoints));
  say(part("template"), templateWords(platform.template));
  say(part("problem"), problemWords(platform));
  article.querySelector('[data-do="grant"]').hidden = platform.runtime.actual.issue !== "permission_missing";
  showForget(article, (platform.template?.known ?? null) !== null);
}

/** Whoever pressed the button that goes away goes on from the platform's heading. */
function showForget(article, isThere) {
  const button = article.querySelector('[data-do="forget_template"]');
  const hadFocus = document.activeElement === button;
  button.hidden = !isThere;
  if (!isThere && hadFocus) article.querySelector("h3").focus();
}

function addPlatform({ name, title }) {
  const article = at("platform").content.cloneNode(true).querySelector("article");
  article.dataset.platform = name;
  const heading = article.querySelector("h3");
  heading.id = `platform-${name}`;
  heading.tabIndex = -1;
  article.setAttribute("aria-labelledby", heading.id);
  article.querySelector('[role="group"]').setAttribute("aria-label", `Actions for ${title || name}`);
  for (const button of article.querySelectorAll("button")) {
    button.addEventListener("click", () => act(name, button.dataset.do));
  }
  at("platforms").append(article);
  return article;
}

function act(name, what) {
  if (what !== "grant") {
    ask({ ask: what, platform: name });
    return;
  }
  // Firefox asks the user only while it handles the click, so nothing may come before this.
  browser.permissions
    .request(wantedOrigins(platforms.get(name).platform))
    .then((granted) => say(at("said"), granted ? `${name}: access allowed.` : `${name}: access not allowed.`))
    .catch(() => say(at("said"), `${name}: Firefox cannot allow access to these hosts.`));
}

function showLog(log) {
  const key = log.length === 0 ? "" : `${log.length} ${log.at(-1).at} ${log.at(-1).message}`;
  if (key === lines) return;
  lines = key;
  const box = at("log");
  const atEnd = box.scrollTop + box.clientHeight >= box.scrollHeight - 4;
  box.replaceChildren(
    ...log.map(({ at: when, level, message }) => {
      const line = document.createElement("div");
      line.className = level;
      line.textContent = `${new Date(when).toLocaleTimeString()} ${level === "info" ? "" : `${level}: `}${message}`;
      return line;
    }),
  );
  if (atEnd) box.scrollTop = box.scrollHeight;
}

at("address-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const address = at("address").value.trim();
  const fault = addressFault(address);
  say(at("address-fault"), fault);
  at("address").setAttribute("aria-invalid", String(fault !== ""));
  if (fault === "") ask({ ask: "set_address", address });
});
at("forget-pairing").addEventListener("click", () => {
  ask({ ask: "forget_pairing" });
  // The button goes away.
  at("reconnect").focus();
});
at("confirm-unpaired").addEventListener("click", () => {
  ask({ ask: "confirm_unpaired", address: unpaired });
  // The button goes away.
  at("reconnect").focus();
});
at("withdraw-unpaired").addEventListener("click", () => {
  ask({ ask: "withdraw_unpaired" });
  at("reconnect").focus();
});
document.addEventListener("visibilitychange", tellCodeShown);
for (const button of document.querySelectorAll("[data-mode]")) {
  button.addEventListener("click", () => ask({ ask: button.dataset.mode }));
}
at("reconnect").addEventListener("click", () => ask({ ask: "ws_reconnect" }));

connect();
