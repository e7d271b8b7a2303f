/** Pauses between connection attempts, and the notes that are shown meanwhile. Pure. */

/** The shortest and the longest pause between attempts, in milliseconds. */
export const BACKOFF_MIN_MS = 250;
export const BACKOFF_MAX_MS = 15_000;
/** The pause after a refusal that an immediate attempt cannot fix. */
export const REFUSED_PAUSE_MS = 5 * 60_000;

/** The note where nothing answers. */
export const NOT_RUNNING = "The daemon is not running at this address.";

/** Notes for close codes after which the pause is long. */
const REFUSALS = new Map([
  [4001, "Another browser connected with the same client id and replaced this one."],
  [4005, "The daemon uses another version of the protocol: write the extension again with baa-conductor extension, and load it."],
]);

/**
 * Returns the pause after consecutive failures, in milliseconds: between the shortest and a bound that doubles.
 * @param {number} failures 1 after the first failure
 * @param {number} random from 0 to 1
 */
export function backoffPause(failures, random) {
  const bound = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** Math.min(failures, 16));
  return BACKOFF_MIN_MS + random * (bound - BACKOFF_MIN_MS);
}

/** Returns the pause after a refusal, in milliseconds. */
export const refusalPause = (random) => REFUSED_PAUSE_MS * (0.75 + random / 2);

/** The close code of a daemon that rejects this browser. */
const UNAUTHORIZED = 4003;
/** Its note, by the state of the connection. */
const REJECTED = {
  pairing: "This Firefox was not approved: it was rejected, or a wrong code was entered too often. Press Reconnect to request pairing again.",
  connected: "The daemon removed the pairing with this Firefox. Press Forget pairing to pair again.",
};
const INVALID_PROOF =
  "The daemon refused this Firefox: its proof was not valid, or the daemon knows this client id from another installation. " +
  "Run baa-conductor pairings forget on the daemon's machine, then press Forget pairing or Reconnect here.";

/** Returns the note for a refusal in this state of the connection; undefined if the close code is not a refusal. */
export const refusalNote = (code, state) => (code === UNAUTHORIZED ? (REJECTED[state] ?? INVALID_PROOF) : REFUSALS.get(code));

/**
 * Returns the note for a connection that ended.
 * @param {{code: number, reason: string, opened: boolean, answered: boolean}} end `opened`: the connection was open;
 *   `answered`: the probe before it was answered
 */
export function closeNote({ code, reason, opened, answered }) {
  // The reason may come from any program, so only a plain name is shown.
  if (code !== 1006) return `The connection was closed: ${code}${/^[a-z_]{1,40}$/.test(reason) ? ` (${reason})` : ""}.`;
  if (opened) return "The connection was lost.";
  return answered ? "A program answers at the daemon's address but does not accept the connection." : NOT_RUNNING;
}
