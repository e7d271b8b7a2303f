/** How long to wait before dialling again, and what to say of it meanwhile. Pure. */

/** The first pause before dialling again, and the longest, in milliseconds. */
export const BACKOFF_MIN_MS = 250;
export const BACKOFF_MAX_MS = 15_000;
/** The pause after a refusal that trying again at once cannot mend. */
export const REFUSED_PAUSE_MS = 5 * 60_000;

/** What to say where nothing answers. */
export const NOT_RUNNING = "The daemon is not there.";

/** Close codes after which dialling again soon would only annoy, and what to say about them. */
const REFUSALS = new Map([
  [4001, "Another browser with the same client id took over."],
  [4005, "The daemon speaks another version of the protocol."],
]);

/**
 * The pause after `failures` in a row, in milliseconds: anything from the shortest to a bound that doubles.
 * @param {number} failures 1 after the first
 * @param {number} random from 0 to 1
 */
export function backoffPause(failures, random) {
  const bound = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** Math.min(failures, 16));
  return BACKOFF_MIN_MS + random * (bound - BACKOFF_MIN_MS);
}

/** The pause after a refusal, in milliseconds. */
export const refusalPause = (random) => REFUSED_PAUSE_MS * (0.75 + random / 2);

/** The close code of a daemon that does not want us, or not any more. */
const UNAUTHORIZED = 4003;
/** What it means, by how far we came. */
const UNWANTED = {
  pairing: "This Firefox was not approved: it was rejected, or the wrong code was given too often. Press Reconnect to ask again.",
  connected: "The daemon forgot this Firefox. To pair it anew, press Forget pairing.",
};
const UNPROVED =
  "The daemon refused this Firefox: it did not believe its proof, or knows it from another installation. " +
  "Have it forgotten at the daemon (baa-conductor pairings forget), then press Forget pairing or Reconnect here.";

/** What to say of a refusal in that state of the connection; undefined when a close code is none. */
export const refusalNote = (code, state) => (code === UNAUTHORIZED ? (UNWANTED[state] ?? UNPROVED) : REFUSALS.get(code));

/**
 * What to say of a connection that ended.
 * @param {{code: number, reason: string, opened: boolean, answered: boolean}} end `opened`: it had come to be;
 *   `answered`: something was found at the address before
 */
export function closeNote({ code, reason, opened, answered }) {
  // Of what a stranger may have written no more is shown than a name.
  if (code !== 1006) return `The connection was closed: ${code}${/^[a-z_]{1,40}$/.test(reason) ? ` (${reason})` : ""}.`;
  if (opened) return "The connection was lost.";
  return answered ? "Something answers at the daemon's address, but takes no connection." : NOT_RUNNING;
}
