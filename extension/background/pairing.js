/**
 * Authenticates the daemon: the secrets of pairings, the proofs of both sides, and the daemons without pairing that the
 * user confirmed.
 *
 *     hello with a nonce → challenge: the daemon's proof → auth: this browser's proof → hello_ack
 *
 * The daemon sends the secret once, when the operator approves this browser; later only proofs are exchanged. They cover
 * the address of the connection, so that a program on another port cannot relay them. Where a secret is kept for an
 * address, a daemon without a valid proof is rejected; where none is kept, a daemon without pairing is accepted only once
 * the user has confirmed it. Secrets are removed only at the user's request.
 *
 * An address is scheme, host and port; the path does not matter.
 */
import * as wire from "../wire.js";

const STORED = "pairings";
const CONFIRMED = "without_pairing";
const encoder = new TextEncoder();
const HMAC = { name: "HMAC", hash: "SHA-256" };

/** Notes about daemons that are rejected, each with what to do. Such a program was sent only `hello`. */
export const FALSE_DAEMON =
  "The program at this address is not the daemon that this Firefox was paired with: it has no valid proof, and was sent only hello. " +
  "If another program uses the daemon's port, stop it. A tunnel or proxy in between has to pass on the Host header unchanged, with its port. " +
  "To use another daemon here, or one without pairing, press Forget pairing.";
export const EARLIER_DAEMON =
  "The daemon at this address uses the proof of an earlier version, which a program on another port can relay: it was sent only hello. " +
  "Update baa-conductor and start it again.";
export const UNKNOWN_HERE =
  "The daemon at this address has no pairing with this Firefox, or it is not the daemon that this Firefox was paired with. " +
  "If the pairing was removed there, press Forget pairing and pair again.";
export const SELF_APPROVED =
  "The program at this address claims that this Firefox was approved, but no code was shown that could approve it: it was sent only hello. " +
  "Find out which program uses the daemon's port, then press Reconnect.";
export const UNPROVED =
  "The program at this address claims to require pairing, but accepts this Firefox without it: it was sent only hello. " +
  "Find out which program uses the daemon's port, then press Reconnect.";
const relayed = (clientId) =>
  "The program at this address knows this Firefox but has no valid proof for this address: it was sent only hello. " +
  "It may relay what your daemon sends, or a tunnel or proxy changes the Host header. " +
  `If it is another daemon that knows this client id, run baa-conductor pairings forget ${clientId} there, then press Reconnect.`;
const noSecret = (clientId) =>
  `The daemon knows this client id, but the secret of the pairing is missing here. Run baa-conductor pairings forget ${clientId} on its machine, then press Reconnect.`;

/** Returns the text that a proof covers; earlier versions did not include `host`. */
const proofText = (...parts) => encoder.encode(parts.join("\n"));

/** Whether a value may be part of that text; a line end would shift the others. */
// eslint-disable-next-line no-control-regex -- control characters are refused
const isNonce = (value) => !/[\u0000-\u001f\u007f]/.test(value);

/** Returns the bytes of 64 hexadecimal digits; undefined for anything else. */
function bytes(hex) {
  return /^[0-9a-f]{64}$/i.test(hex) ? Uint8Array.from(hex.match(/../g), (digits) => Number.parseInt(digits, 16)) : undefined;
}

const hex = (buffer) => [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");

const isPairing = (value) => typeof value?.secret === "string" && value.secret !== "" && Number.isFinite(value.paired_at);

/** Returns scheme, host and port of an address, the key of everything stored about a daemon. */
const originOf = (address) => (URL.canParse(address) ? new URL(address).origin : address);

/** The pairings of this browser, one per address of a daemon. */
export class Pairing {
  #env;
  #pairings = new Map();
  /** Origins where the user confirmed a daemon without pairing, and since when. */
  #confirmed = new Map();
  /** State of the current connection. */
  #address = "";
  #nonce = "";
  #proved = false;
  /** Whether the user could see a code of this connection. */
  #codeShown = false;
  /** Settled once the last change is stored. */
  #stored = Promise.resolve();

  /** @param {object} env `storage`, `subtle`, `nonce()`, `now()`, `clientId()`, `log`, `changed()` */
  constructor(env) {
    this.#env = env;
  }

  /** Reads the storage. */
  async start() {
    const stored = await this.#env.storage.get([STORED, CONFIRMED]);
    for (const [address, pairing] of Object.entries(stored[STORED] ?? {})) {
      // Earlier versions stored them by the whole address; the newest of an origin counts.
      const origin = originOf(address);
      if (isPairing(pairing) && !(this.#pairings.get(origin)?.paired_at > pairing.paired_at)) this.#pairings.set(origin, pairing);
    }
    for (const [origin, since] of Object.entries(stored[CONFIRMED] ?? {})) {
      if (Number.isFinite(since) && !this.#pairings.has(origin)) this.#confirmed.set(origin, since);
    }
  }

  /** Returns since when this browser is paired with the daemon at that address, or null. */
  since(address) {
    return this.#pairings.get(originOf(address))?.paired_at ?? null;
  }

  /** Returns since when a daemon without pairing is confirmed there, or null. */
  confirmedSince(address) {
    return this.#confirmed.get(originOf(address)) ?? null;
  }

  /** Starts a connection; returns its nonce. */
  begin(address) {
    this.#address = address;
    this.#nonce = this.#env.nonce();
    this.#proved = false;
    this.#codeShown = false;
    return this.#nonce;
  }

  /**
   * Verifies the daemon's proof.
   * @returns {Promise<{auth?: string, fault?: string}>} the frame with this browser's proof, or why the daemon is rejected
   */
  async answer({ nonce, proof }) {
    const [origin, ours, { host }] = [originOf(this.#address), this.#nonce, new URL(this.#address)];
    const own = this.#pairings.get(origin);
    const theirs = bytes(proof);
    if (theirs === undefined || !isNonce(nonce)) return { fault: FALSE_DAEMON };
    // A daemon that moved to another port is recognized, unless another one is paired at that address.
    for (const pairing of own === undefined ? [...this.#pairings.values()] : [own]) {
      const key = await this.#key(pairing.secret);
      const isProof = (...parts) => this.#env.subtle.verify(HMAC, key, theirs, proofText("server", ours, nonce, ...parts));
      if (!(await isProof(host))) {
        if (await isProof()) return { fault: EARLIER_DAEMON };
        continue;
      }
      const auth = wire.auth({ proof: hex(await this.#env.subtle.sign(HMAC, key, proofText("client", ours, nonce, host))) });
      if (this.#nonce !== ours) break;
      this.#proved = true;
      if (pairing !== own) this.#setPairing(origin, pairing);
      return { auth };
    }
    if (own !== undefined) return { fault: FALSE_DAEMON };
    return { fault: (this.#pairings.size === 0 ? noSecret : relayed)(this.#env.clientId()) };
  }

  /**
   * Judges the daemon's `hello_ack`.
   * @returns {{fault?: string, isUnconfirmed?: boolean}} why it is rejected, or that the user has to confirm it
   */
  acknowledged({ client_secret, pairing }) {
    const origin = originOf(this.#address);
    if (this.#pairings.has(origin)) return this.#proved ? {} : { fault: FALSE_DAEMON };
    if (client_secret !== undefined) {
      // An operator approves by the code shown here, so an approval before it was shown is not an operator's.
      if (!this.#codeShown || bytes(client_secret) === undefined) return { fault: SELF_APPROVED };
      this.#setPairing(origin, { secret: client_secret, paired_at: this.#env.now() });
      this.#env.log("info", "This Firefox was paired with the daemon.");
      return {};
    }
    if (pairing === "required") return { fault: UNPROVED };
    return this.#confirmed.has(origin) ? {} : { isUnconfirmed: true };
  }

  /** Judges the daemon's `pairing_required`; returns why it is rejected, if it is. */
  pairingRequired() {
    return this.#pairings.has(originOf(this.#address)) ? UNKNOWN_HERE : undefined;
  }

  /** Notes that the code of this connection was visible on the options page. */
  codeShown() {
    this.#codeShown = true;
  }

  /** Confirms a daemon without pairing at that address; settles when that is stored. */
  confirm(address) {
    if (this.since(address) === null) this.#confirmed.set(originOf(address), this.#env.now());
    return this.#store();
  }

  /** The user takes that back; settles when that is stored. */
  withdraw(address) {
    this.#confirmed.delete(originOf(address));
    return this.#store();
  }

  /** Forgets the daemon at that address, wherever else it was seen; settles when it is gone from the storage too. */
  forget(address) {
    const secret = this.#pairings.get(originOf(address))?.secret;
    if (secret === undefined) return this.#stored;
    for (const [other, pairing] of this.#pairings) if (pairing.secret === secret) this.#pairings.delete(other);
    this.#env.log("info", "The pairing with the daemon was removed here.");
    return this.#store();
  }

  #setPairing(origin, pairing) {
    this.#pairings.set(origin, pairing);
    // From now on a daemon there needs a valid proof.
    this.#confirmed.delete(origin);
    void this.#store();
  }

  #store() {
    const all = { [STORED]: Object.fromEntries(this.#pairings), [CONFIRMED]: Object.fromEntries(this.#confirmed) };
    this.#stored = this.#stored
      .then(() => this.#env.storage.set(all))
      .catch(() => this.#env.log("error", "The pairing could not be stored: after a restart of Firefox it has to be made again."));
    this.#env.changed();
    return this.#stored;
  }

  #key(secret) {
    return this.#env.subtle.importKey("raw", encoder.encode(secret), HMAC, false, ["sign", "verify"]);
  }
}
