/** The options page: shows the state of the background and sends the user's actions to it. */
import { addressFault, isMode, loginText, modeText, pairCommand, pairingText, problemText, stateText, tabText, templateText, waitingText, permissionRequest } from "./view.js";

const byId = (id) => document.getElementById(id);
const platforms = new Map();
let port = null;
let shownLog = "";
/** The address of the daemon without pairing that the page asks about. */
let unpairedAddress = "";

/** Sets text only if it differs, so that screen readers announce only changes. */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function connect() {
  port = browser.runtime.connect({ name: "options" });
  port.onMessage.addListener(({ state, done, platform, ok }) => {
    if (state) show(state);
    if (done) setText(byId("said"), `${(platform ?? "").trim()} ${done.replaceAll("_", " ")}: ${ok ? "done" : "failed"}.`.trim());
  });
}

const ask = (message) => port.postMessage(message);

function show(state) {
  const { link } = state;
  byId("state").dataset.state = link.state;
  setText(byId("state"), stateText(link));
  setText(byId("note"), link.note);
  byId("pairing").hidden = link.code === null;
  setText(byId("code"), link.code ?? "");
  setText(byId("pairing-address"), link.address);
  setText(byId("pair-command"), pairCommand(link.code ?? ""));
  reportCodeShown();
  byId("unpaired").hidden = !link.is_unconfirmed;
  unpairedAddress = link.address;
  setText(byId("unpaired-address"), unpairedAddress);
  setText(byId("unpaired-waiting"), waitingText(link));
  setText(byId("paired"), pairingText(link));
  byId("forget-pairing").hidden = link.paired_at === null;
  byId("withdraw-unpaired").hidden = link.confirmed_at === null;
  setText(byId("client-id"), state.client_id);
  setText(byId("default-address"), state.default_address);
  setText(byId("running"), String(state.running));
  setText(byId("mode"), modeText(state.system));
  for (const button of document.querySelectorAll("[data-mode]")) {
    button.disabled = state.system === null || isMode(state.system, button.dataset.mode);
  }
  const address = byId("address");
  if (document.activeElement !== address) address.value = link.address;
  byId("no-platforms").hidden = state.platforms.length > 0;
  const names = new Set(state.platforms.map(({ name }) => name));
  for (const [name, { article }] of platforms) {
    if (names.has(name)) continue;
    article.remove();
    platforms.delete(name);
  }
  for (const platform of state.platforms) showPlatform(platform);
  showLog(state.log);
}

/** Reports that the user can see the code; approvals count only then. */
function reportCodeShown() {
  const code = byId("code").textContent;
  if (code !== "" && document.visibilityState === "visible") ask({ ask: "code_shown", code });
}

function showPlatform(platform) {
  if (!platforms.has(platform.name)) platforms.set(platform.name, { article: addPlatform(platform) });
  const entry = platforms.get(platform.name);
  entry.platform = platform;
  const { article } = entry;
  const part = (of) => article.querySelector(`[data-of="${of}"]`);
  setText(article.querySelector("h3"), platform.title || platform.name);
  setText(part("tab"), tabText(platform.runtime));
  setText(part("login"), loginText(platform.login));
  setText(part("endpoints"), String(platform.endpoints));
  setText(part("template"), templateText(platform.template));
  setText(part("problem"), problemText(platform));
  article.querySelector('[data-do="grant"]').hidden = platform.runtime.actual.issue !== "permission_missing";
  showForget(article, (platform.template?.known ?? null) !== null);
}

/** Shows or hides *Forget template*; when it disappears, its focus moves to the platform's heading. */
function showForget(article, isThere) {
  const button = article.querySelector('[data-do="forget_template"]');
  const hadFocus = document.activeElement === button;
  button.hidden = !isThere;
  if (!isThere && hadFocus) article.querySelector("h3").focus();
}

function addPlatform({ name, title }) {
  const article = byId("platform").content.cloneNode(true).querySelector("article");
  article.dataset.platform = name;
  const heading = article.querySelector("h3");
  heading.id = `platform-${name}`;
  heading.tabIndex = -1;
  article.setAttribute("aria-labelledby", heading.id);
  article.querySelector('[role="group"]').setAttribute("aria-label", `Actions for ${title || name}`);
  for (const button of article.querySelectorAll("button")) {
    button.addEventListener("click", () => performAction(name, button.dataset.do));
  }
  byId("platforms").append(article);
  return article;
}

function performAction(name, what) {
  if (what !== "grant") {
    ask({ ask: what, platform: name });
    return;
  }
  // Firefox shows the question only while it handles the click, so nothing may be awaited before.
  browser.permissions
    .request(permissionRequest(platforms.get(name).platform))
    .then((granted) => setText(byId("said"), granted ? `${name}: access allowed.` : `${name}: access not allowed.`))
    .catch(() => setText(byId("said"), `${name}: Firefox cannot allow access to these hosts.`));
}

function showLog(log) {
  const key = log.length === 0 ? "" : `${log.length} ${log.at(-1).at} ${log.at(-1).message}`;
  if (key === shownLog) return;
  shownLog = key;
  const box = byId("log");
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

byId("address-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const address = byId("address").value.trim();
  const fault = addressFault(address);
  setText(byId("address-fault"), fault);
  byId("address").setAttribute("aria-invalid", String(fault !== ""));
  if (fault === "") ask({ ask: "set_address", address });
});
byId("forget-pairing").addEventListener("click", () => {
  ask({ ask: "forget_pairing" });
  // The button disappears.
  byId("reconnect").focus();
});
byId("confirm-unpaired").addEventListener("click", () => {
  ask({ ask: "confirm_unpaired", address: unpairedAddress });
  // The button disappears.
  byId("reconnect").focus();
});
byId("withdraw-unpaired").addEventListener("click", () => {
  ask({ ask: "withdraw_unpaired" });
  byId("reconnect").focus();
});
document.addEventListener("visibilitychange", reportCodeShown);
for (const button of document.querySelectorAll("[data-mode]")) {
  button.addEventListener("click", () => ask({ ask: button.dataset.mode }));
}
byId("reconnect").addEventListener("click", () => ask({ ask: "ws_reconnect" }));

connect();
