/** An event stream by `fetch`, since an `EventSource` cannot send headers. It does not reconnect by itself. */

export class Source extends EventTarget {
  CLOSED = 2;
  readyState = 0;
  #gone = new AbortController();
  #seen;

  /** `ask(path, options)`: fetches; `seen`: an object whose `id` is that of the last event, kept across streams. */
  constructor(path, { ask, seen }) {
    super();
    this.#seen = seen;
    this.#run(path, ask).catch(() => {}).then(() => this.#over());
  }

  close() {
    this.readyState = 2;
    this.#gone.abort();
  }

  async #run(path, ask) {
    const answer = await ask(path, {
      mode: "same-origin",
      credentials: "same-origin",
      cache: "no-store",
      redirect: "error",
      signal: this.#gone.signal,
      headers: { accept: "text/event-stream", ...(this.#seen.id !== undefined && { "last-event-id": this.#seen.id }) },
    });
    const kind = answer.headers.get("content-type") ?? "";
    if (!answer.ok || !kind.startsWith("text/event-stream") || this.readyState === 2) {
      await answer.body?.cancel();
      return;
    }
    this.readyState = 1;
    this.dispatchEvent(new Event("open"));
    const text = new TextDecoder();
    let rest = "";
    let event = {};
    for (const reader = answer.body.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = (rest + text.decode(value, { stream: true })).split("\n");
      rest = lines.pop();
      for (const line of lines) event = this.#line(event, line);
    }
  }

  /** Parses a line and returns the event under construction. */
  #line(event, line) {
    if (line === "") {
      if (event.id !== undefined) this.#seen.id = event.id;
      if (event.data !== undefined && this.readyState === 1) this.dispatchEvent(Object.assign(new Event(event.event ?? "message"), { data: event.data }));
      return {};
    }
    const at = line.indexOf(":");
    const name = at < 0 ? line : line.slice(0, at);
    const value = at < 0 ? "" : line.slice(at + 1).replace(/^ /, "");
    if (name === "data") return { ...event, data: event.data === undefined ? value : `${event.data}\n${value}` };
    return name === "event" || name === "id" ? { ...event, [name]: value } : event;
  }

  /** Reports the end of the stream, once, and not if the page closed it. */
  #over() {
    if (this.readyState === 2) return;
    this.readyState = 2;
    this.#gone.abort();
    this.dispatchEvent(new Event("error"));
  }
}
