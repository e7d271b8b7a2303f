/** Detects a silent daemon and a sleep of the machine by received frames and the clock. WebSocket pings are not visible here. Pure. */

/** Interval of the checks, and the deviation of the clock that counts as a sleep of the machine. */
export const TICK_MS = 2_000;
const SLEPT_MS = 5_000;
/** Heartbeat interval if the daemon states none. */
const HEARTBEAT_MS = 15_000;
/** Number of silent intervals after which the connection is given up. */
const SILENT_INTERVALS = 3;

/** The times of the last frame and the last check, in milliseconds of one clock. */
export class Liveness {
  #heardAt = 0;
  #lookedAt = 0;
  #hasAsked = false;
  #heartbeatMs = HEARTBEAT_MS;

  /** Sets the heartbeat interval that the daemon stated, if any. */
  setHeartbeat(ms) {
    this.#heartbeatMs = ms ?? HEARTBEAT_MS;
  }

  /** Notes that a frame came or the connection opened. */
  heard(now) {
    this.#heardAt = now;
    this.#hasAsked = false;
  }

  /** Whether to request an answer of the daemon: once, until the next frame. */
  shouldAsk() {
    const asks = !this.#hasAsked;
    this.#hasAsked = true;
    return asks;
  }

  /**
   * Checks the clock; called every `TICK_MS`.
   * @returns {"slept" | "silent" | "quiet" | "well"} "slept": the clock jumped, because the machine slept, the clock was
   *   set, or this program was suspended; "silent": no frame for too long; "quiet": none for one interval
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
