/** HTTP calls to the page's own origin. Failures are results, not exceptions. */

const PATIENCE_MS = 10_000;

export class Api {
  #fetch;

  constructor(fetch) {
    this.#fetch = fetch;
  }

  get(path) {
    return this.#call("GET", path);
  }

  post(path, body = {}) {
    return this.#call("POST", path, body);
  }

  delete(path) {
    return this.#call("DELETE", path);
  }

  /**
   * `ok` with `data`; or not, with `status` (0: no response), `error`, `message`, `details`. `date`: the daemon's
   * clock in milliseconds, if the response has it.
   */
  async #call(method, path, body) {
    try {
      const answer = await this.#fetch(path, {
        method,
        mode: "same-origin",
        credentials: "same-origin",
        cache: "no-store",
        redirect: "error",
        signal: AbortSignal.timeout(PATIENCE_MS),
        ...(body !== undefined && { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
      });
      const told = await answer.json();
      const date = Date.parse(answer.headers.get("date") ?? "");
      return told.ok === true
        ? { ok: true, status: answer.status, data: told.data, date }
        : { ok: false, status: answer.status, error: told.error ?? "unknown", message: told.message ?? "", details: told.details ?? {}, date };
    } catch {
      return { ok: false, status: 0, error: "unreachable", message: "The daemon does not answer.", details: {}, date: NaN };
    }
  }
}

/** Encodes one segment of a path. */
export const part = (text) => encodeURIComponent(text);

/** Whether a response means that this daemon, or this listener, has no such route. */
export const isNoRoute = ({ ok, status, details }) => !ok && status === 404 && details?.resource === "route";
