/**
 * The isolated content script: passes JSON text between `page.js` and the background. It draws the channel's random name
 * and hands it over before any script of the page runs. The background's question about typed text is answered here and
 * does not reach the page; the answer is an object, while messages of the page are text, so that no script of the page
 * can forge it.
 */
(() => {
  // Scripts of the page that ran before could listen. Without a port the tab is not ready, and is reloaded.
  if (document.readyState !== "loading" || document.scripts.length !== 0) return;
  const channel = `baa-${crypto.randomUUID()}`;
  let port = null;

  const toPage = (text) => document.dispatchEvent(new CustomEvent(`${channel}-in`, { detail: text }));

  function connect() {
    if (port !== null) return;
    port = browser.runtime.connect({ name: "page" });
    port.onMessage.addListener((text) => {
      if (text.startsWith('{"t":"which"')) port?.postMessage(globalThis.baaTyped(JSON.parse(text)));
      else toPage(text);
    });
    port.onDisconnect.addListener(() => {
      port = null;
      // The background is gone, so its requests are aborted.
      toPage(JSON.stringify({ t: "abort_all" }));
    });
  }

  document.addEventListener(`${channel}-out`, (event) => {
    // Shows `page.js` that the extension still runs.
    event.preventDefault();
    event.stopImmediatePropagation();
    port?.postMessage(String(event.detail));
  });
  document.dispatchEvent(new CustomEvent("baa-conductor-channel", { detail: channel }));
  connect();
  // A page in the back/forward cache has lost its port.
  addEventListener("pageshow", (event) => event.persisted && connect());
})();
