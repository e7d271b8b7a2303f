/**
 * The isolated half in a page: a pipe between the page's half and the background. It makes up the channel's name, hands
 * it over before any script of the page runs, and passes JSON text without looking into it. What the background asks
 * about what was typed is answered here, and does not reach the page: it goes as
 * an object, and what the page says as text, so that no script of the page can answer it.
 */
(() => {
  // Where scripts of the page have run, they may listen. Without a port the tab is not ready, and is loaded anew.
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
      // Whoever asked is gone; what still runs for them is in vain.
      toPage(JSON.stringify({ t: "abort_all" }));
    });
  }

  document.addEventListener(`${channel}-out`, (event) => {
    // That somebody listens is how the page's half knows that it has not outlived the extension.
    event.preventDefault();
    event.stopImmediatePropagation();
    port?.postMessage(String(event.detail));
  });
  document.dispatchEvent(new CustomEvent("baa-conductor-channel", { detail: channel }));
  connect();
  // A page that comes back from the browser's cache lost its port when it left.
  addEventListener("pageshow", (event) => event.persisted && connect());
})();
