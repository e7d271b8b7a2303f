/** Whether the daemon is still there, by what was heard and by the clock. Its pings are not visible here. Pure. */

/** How often the clock is looked at, and how far it may be off before the machine may have slept. */
export const TICK_MS = 2_000;
const SLEPT_MS = 5_000;
/** How often the daemon is to be heard of when it does not say so itself. */
const HEARTBEAT_MS = 15_000;
/** After so many intervals of silence it is given up. */
const SILENT_INTERVALS = 3;

/** What was heard of the daemon, and when the clock was last looked at. Times are milliseconds of one clock. */
export class Liveness {
  #heardAt = 0;
  #lookedAt = 0;
  #hasAsked = false;
  #heartbeatMs = HEARTBEAT_MS;

  /** The daemon said how often it is to be heard of, or did not. */
  setHeartbeat(ms) {
    this.#heartbeatMs = ms ?? HEARTBEAT_MS;
  }

  /** Something came of the daemon, or its connection opened. */
  heard(now) {
    this.#heardAt = now;
    this.#hasAsked = false;
  }

  /** Whether to ask the daemon now: once, until it is heard of again. */
  shouldAsk() {
    const asks = !this.#hasAsked;
    this.#hasAsked = true;
    return asks;
  }

  /**
   * Looks at the clock; to be called every `TICK_MS`.
   * @returns {"slept" | "silent" | "quiet" | "well"} "slept": the clock jumped, as after a sleep of the machine, or
   *   because it was set, or this program held up; "silent": the daemon was not heard of for too long
   */
  check(now) {
    const slept = this.#lookedAt !== 0 && Math.abs(now - this.#lookedAt - TICK_MS) > SLEPT_MS;
    this.#lookedAt = now;
    if (slept) return "slept";
    const silence = now - this.#heardAt;
    if (silence >= SILENT_INTERVALS * this.#heartbeatMs) return "silent";
    return silence >= this.#heartbeatMs ? "quiet" : "well";
  }
}
