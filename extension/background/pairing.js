/**
 * Who the daemon is: the secrets of pairings, and the proofs that both sides give with them.
 *
 *     hello with our value → challenge: the daemon's proof → auth: ours → hello_ack
 *
 * A secret is sent once, when the operator approves this browser, and never again by either side. Where one is known
 * for an address, nobody is believed there who does not prove that he has it too. None is forgotten unasked.
 */
import * as wire from "../wire.js";

const STORED = "pairings";
const encoder = new TextEncoder();
const HMAC = { name: "HMAC", hash: "SHA-256" };

/** What to say when somebody is not whom we were paired with, and what to do about it. */
export const FALSE_DAEMON =
  "What answers at this address is not the daemon that this Firefox was paired with: it did not prove itself, and was told nothing. " +
  "If another program has taken the daemon's port, end it. If you want another daemon here, or one without pairing, press Forget pairing.";
export const UNKNOWN_HERE =
  "The daemon at this address does not know this Firefox any more, or it is not the one this Firefox was paired with. " +
  "If it was made to forget it, press Forget pairing, and pair anew.";
const noSecret = (clientId) =>
  `The daemon knows a Firefox of this name, and its secret is not here. Run baa-conductor pairings forget ${clientId} at the daemon, then press Reconnect.`;

/** The text that a side proves with. */
const proved = (side, client, server) => encoder.encode(`${side}\n${client}\n${server}`);

/** The bytes of 64 hexadecimal digits; undefined for anything else. */
function bytes(hex) {
  return /^[0-9a-f]{64}$/i.test(hex) ? Uint8Array.from(hex.match(/../g), (digits) => Number.parseInt(digits, 16)) : undefined;
}

const hex = (buffer) => [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");

const isPairing = (value) => typeof value?.secret === "string" && value.secret !== "" && Number.isFinite(value.paired_at);

/** The pairings of this browser, one for each address of a daemon. */
export class Pairing {
  #env;
  #kept = new Map();
  /** Of the connection of now. */
  #address = "";
  #nonce = "";
  #proved = false;
  /** Settled once what was last changed is stored. */
  #stored = Promise.resolve();

  /** @param {object} env `storage`, `subtle`, `nonce()`, `now()`, `clientId()`, `log`, `changed()` */
  constructor(env) {
    this.#env = env;
  }

  /** Reads what was kept. */
  async start() {
    const stored = (await this.#env.storage.get(STORED))[STORED] ?? {};
    for (const [address, pairing] of Object.entries(stored)) if (isPairing(pairing)) this.#kept.set(address, pairing);
  }

  /** Since when this browser is paired with the daemon at that address, or null. */
  since(address) {
    return this.#kept.get(address)?.paired_at ?? null;
  }

  /** A connection begins; answers our value for it. */
  begin(address) {
    this.#address = address;
    this.#nonce = this.#env.nonce();
    this.#proved = false;
    return this.#nonce;
  }

  /**
   * The daemon gave its proof.
   * @returns {Promise<{auth?: string, fault?: string}>} our own, or why it is not given
   */
  async answer({ nonce, proof }) {
    const [address, ours] = [this.#address, this.#nonce];
    const own = this.#kept.get(address);
    // A daemon whose port was changed is still the same.
    const known = [own, ...this.#kept.values()].filter((pairing) => pairing !== undefined);
    for (const pairing of known) {
      const key = await this.#key(pairing.secret);
      const theirs = bytes(proof);
      if (theirs === undefined || !(await this.#env.subtle.verify(HMAC, key, theirs, proved("server", ours, nonce)))) continue;
      const auth = wire.auth({ proof: hex(await this.#env.subtle.sign(HMAC, key, proved("client", ours, nonce))) });
      if (this.#nonce !== ours) break;
      this.#proved = true;
      if (pairing !== own) this.#keep(address, pairing);
      return { auth };
    }
    return { fault: own === undefined ? noSecret(this.#env.clientId()) : FALSE_DAEMON };
  }

  /** The daemon greets; answers why it is not believed, if it is not. */
  greeted({ client_secret }) {
    if (this.#kept.has(this.#address)) return this.#proved ? undefined : FALSE_DAEMON;
    if (client_secret !== undefined) {
      this.#keep(this.#address, { secret: client_secret, paired_at: this.#env.now() });
      this.#env.log("info", "This Firefox was paired with the daemon.");
    }
    return undefined;
  }

  /** The daemon wants us to be paired; answers why it is not believed, if it is not. */
  asked() {
    return this.#kept.has(this.#address) ? UNKNOWN_HERE : undefined;
  }

  /** Forgets the daemon at that address, wherever else it was seen; settles when it is gone from the storage too. */
  forget(address) {
    const secret = this.#kept.get(address)?.secret;
    if (secret === undefined) return this.#stored;
    for (const [other, pairing] of this.#kept) if (pairing.secret === secret) this.#kept.delete(other);
    this.#env.log("info", "The pairing with the daemon was forgotten here.");
    return this.#store();
  }

  #keep(address, pairing) {
    this.#kept.set(address, pairing);
    void this.#store();
  }

  #store() {
    const all = Object.fromEntries(this.#kept);
    this.#stored = this.#stored
      .then(() => this.#env.storage.set({ [STORED]: all }))
      .catch(() => this.#env.log("error", "The pairing could not be stored: after a restart of Firefox it has to be made anew."));
    this.#env.changed();
    return this.#stored;
  }

  #key(secret) {
    return this.#env.subtle.importKey("raw", encoder.encode(secret), HMAC, false, ["sign", "verify"]);
  }
}
