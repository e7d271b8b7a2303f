/**
 * Who the daemon is: the secrets of pairings, the proofs that both sides give with them, and what the user said of daemons
 * that want no pairing.
 *
 *     hello with our value → challenge: the daemon's proof → auth: ours → hello_ack
 *
 * A secret is sent once, when the operator approves this browser, and never again by either side. Proofs are over the
 * address that was dialled, so that a program on another port cannot pass them on. Where a secret is known for an address,
 * nobody is believed there who does not prove that he has it too; where none is, a daemon without pairing is believed only
 * once the user has confirmed it. No secret is forgotten unasked.
 *
 * An address is scheme, host and port: which path was dialled makes no other daemon of it.
 */
import * as wire from "../wire.js";

const STORED = "pairings";
const CONFIRMED = "without_pairing";
const encoder = new TextEncoder();
const HMAC = { name: "HMAC", hash: "SHA-256" };

/** What to say of a daemon that is not believed, and what to do about it. */
export const FALSE_DAEMON =
  "What answers at this address is not the daemon that this Firefox was paired with: it did not prove itself, and was told nothing. " +
  "If another program has taken the daemon's port, end it. A tunnel or proxy in between has to pass the Host on as it is, with its port. " +
  "If you want another daemon here, or one without pairing, press Forget pairing.";
export const EARLIER_DAEMON =
  "The daemon at this address proves itself as an earlier version did, which a program on another port can pass on: it was told nothing. " +
  "Update baa-conductor and start it again.";
export const UNKNOWN_HERE =
  "The daemon at this address does not know this Firefox any more, or it is not the one this Firefox was paired with. " +
  "If it was made to forget it, press Forget pairing, and pair anew.";
export const SELF_APPROVED =
  "What answers at this address says that this Firefox was approved, but nobody can have seen a code to approve it by: it was told nothing. " +
  "Look which program has the daemon's port, then press Reconnect.";
export const UNPROVED =
  "What answers at this address says that it requires pairing, and greets without it: it was told nothing. " +
  "Look which program has the daemon's port, then press Reconnect.";
const relayed = (clientId) =>
  "What answers at this address knows this Firefox, and does not prove itself for this address: it was told nothing. " +
  "It may be another program that passes on what your daemon says, or a tunnel or proxy that changes the Host. " +
  `If it is another daemon that knows a Firefox of this name, run baa-conductor pairings forget ${clientId} there, then press Reconnect.`;
const noSecret = (clientId) =>
  `The daemon knows a Firefox of this name, and its secret is not here. Run baa-conductor pairings forget ${clientId} at the daemon, then press Reconnect.`;

/** The text that a side proves with; earlier versions had no `host` in it. */
const proofText = (...parts) => encoder.encode(parts.join("\n"));

/** Whether a value can stand in that text: a line end would shift what is proved. */
// eslint-disable-next-line no-control-regex -- they are what is looked for
const isNonce = (value) => !/[\u0000-\u001f\u007f]/.test(value);

/** The bytes of 64 hexadecimal digits; undefined for anything else. */
function bytes(hex) {
  return /^[0-9a-f]{64}$/i.test(hex) ? Uint8Array.from(hex.match(/../g), (digits) => Number.parseInt(digits, 16)) : undefined;
}

const hex = (buffer) => [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");

const isPairing = (value) => typeof value?.secret === "string" && value.secret !== "" && Number.isFinite(value.paired_at);

/** Scheme, host and port of an address, by which what is known of a daemon is kept. */
const originOf = (address) => (URL.canParse(address) ? new URL(address).origin : address);

/** The pairings of this browser, one for each address of a daemon. */
export class Pairing {
  #env;
  #pairings = new Map();
  /** Where the user lets a daemon in without pairing, and since when. */
  #confirmed = new Map();
  /** Of the connection of now. */
  #address = "";
  #nonce = "";
  #proved = false;
  /** Whether a code of this connection was to be seen. */
  #codeShown = false;
  /** Settled once what was last changed is stored. */
  #stored = Promise.resolve();

  /** @param {object} env `storage`, `subtle`, `nonce()`, `now()`, `clientId()`, `log`, `changed()` */
  constructor(env) {
    this.#env = env;
  }

  /** Reads what was kept. */
  async start() {
    const stored = await this.#env.storage.get([STORED, CONFIRMED]);
    for (const [address, pairing] of Object.entries(stored[STORED] ?? {})) {
      // Earlier versions kept them by the whole address; the newest of one place counts.
      const place = originOf(address);
      if (isPairing(pairing) && !(this.#pairings.get(place)?.paired_at > pairing.paired_at)) this.#pairings.set(place, pairing);
    }
    for (const [place, since] of Object.entries(stored[CONFIRMED] ?? {})) {
      if (Number.isFinite(since) && !this.#pairings.has(place)) this.#confirmed.set(place, since);
    }
  }

  /** Since when this browser is paired with the daemon at that address, or null. */
  since(address) {
    return this.#pairings.get(originOf(address))?.paired_at ?? null;
  }

  /** Since when the user lets a daemon in there without pairing, or null. */
  confirmedSince(address) {
    return this.#confirmed.get(originOf(address)) ?? null;
  }

  /** A connection begins; answers our value for it. */
  begin(address) {
    this.#address = address;
    this.#nonce = this.#env.nonce();
    this.#proved = false;
    this.#codeShown = false;
    return this.#nonce;
  }

  /**
   * The daemon gave its proof.
   * @returns {Promise<{auth?: string, fault?: string}>} our own, or why it is not given
   */
  async answer({ nonce, proof }) {
    const [place, ours, { host }] = [originOf(this.#address), this.#nonce, new URL(this.#address)];
    const own = this.#pairings.get(place);
    const theirs = bytes(proof);
    if (theirs === undefined || !isNonce(nonce)) return { fault: FALSE_DAEMON };
    // A daemon whose port was changed is still the same; but where one is known, no other takes its place.
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
      if (pairing !== own) this.#setPairing(place, pairing);
      return { auth };
    }
    if (own !== undefined) return { fault: FALSE_DAEMON };
    return { fault: (this.#pairings.size === 0 ? noSecret : relayed)(this.#env.clientId()) };
  }

  /**
   * The daemon greets.
   * @returns {{fault?: string, isUnconfirmed?: boolean}} why it is not believed, or that the user has to say whether it is
   */
  acknowledged({ client_secret, pairing }) {
    const place = originOf(this.#address);
    if (this.#pairings.has(place)) return this.#proved ? {} : { fault: FALSE_DAEMON };
    if (client_secret !== undefined) {
      // Who approves has read the code here; what approves by itself is no operator's daemon.
      if (!this.#codeShown || bytes(client_secret) === undefined) return { fault: SELF_APPROVED };
      this.#setPairing(place, { secret: client_secret, paired_at: this.#env.now() });
      this.#env.log("info", "This Firefox was paired with the daemon.");
      return {};
    }
    if (pairing === "required") return { fault: UNPROVED };
    return this.#confirmed.has(place) ? {} : { isUnconfirmed: true };
  }

  /** The daemon wants us to be paired; answers why it is not believed, if it is not. */
  pairingRequired() {
    return this.#pairings.has(originOf(this.#address)) ? UNKNOWN_HERE : undefined;
  }

  /** The code of this connection was to be seen on the extension's page. */
  codeShown() {
    this.#codeShown = true;
  }

  /** The user lets whatever answers at that address in without pairing; settles when that is stored. */
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
    this.#env.log("info", "The pairing with the daemon was forgotten here.");
    return this.#store();
  }

  #setPairing(place, pairing) {
    this.#pairings.set(place, pairing);
    // From now on only a daemon that proves itself is believed there.
    this.#confirmed.delete(place);
    void this.#store();
  }

  #store() {
    const all = { [STORED]: Object.fromEntries(this.#pairings), [CONFIRMED]: Object.fromEntries(this.#confirmed) };
    this.#stored = this.#stored
      .then(() => this.#env.storage.set(all))
      .catch(() => this.#env.log("error", "The pairing could not be stored: after a restart of Firefox it has to be made anew."));
    this.#env.changed();
    return this.#stored;
  }

  #key(secret) {
    return this.#env.subtle.importKey("raw", encoder.encode(secret), HMAC, false, ["sign", "verify"]);
  }
}
