/**
 * The one WebSocket to the daemon: opened, greeted, watched, and opened again when it is lost. Never two at once.
 *
 *     idle → connecting → greeting → connected
 *                 ↑         ↓ pairing    ↓
 *                 └───── waiting ←───────┘
 *
 * Nothing but `hello`, and what answers a challenge, is sent to a daemon that is not known to be the right one, and none of
 * its frames is handed on.
 */
import * as wire from "../wire.js";
import { closeNote, NOT_RUNNING, backoffPause, refusalPause, refusalNote } from "./backoff.js";
import { withRawBody } from "./body.js";
import { Liveness, TICK_MS } from "./liveness.js";
import { Outbox, SOCKET_BYTES_HIGH } from "./outbox.js";
import { FALSE_DAEMON } from "./pairing.js";

/** How long dialling and greeting may take. */
export const HELLO_MAX_MS = 10_000;
/** How long the daemon may take to say that the connection outlived that. */
export const RECHECK_MAX_MS = 4_000;
/** How long what waits may take to be sent before a connection is closed on purpose. */
export const FLUSH_MAX_MS = 2_000;
/** The longest frame that is read, and how many lines may be logged, of a daemon that is not believed yet. */
export const UNTRUSTED_CHARS_MAX = 1 << 20;
const UNTRUSTED_LINES_MAX = 8;
const OPEN = 1;

/** What to say of a daemon that wants no pairing, until the user has confirmed it. */
export const UNCONFIRMED =
  "The daemon at this address wants no pairing, so it cannot be told from any other program that answers there. " +
  "It was told nothing, and nothing is done for it, until you confirm it on this page.";

/** The connection to the daemon. */
export class Link {
  #env;
  #on;
  #socket = null;
  #attempts = 0;
  /** Whether the last connection, or the last try at one, came to an end of its own. */
  #failed = false;
  /** The look for the daemon that is under way; whether the last one found something. */
  #probe = null;
  #probeFound = false;
  #connectTimer = null;
  #helloTimer = null;
  #recheckTimer = null;
  /** Of the connection of now: whether it was challenged, and lines that were logged before it was greeted. */
  #challenged = false;
  #loggedLines = 0;
  /** Under way when the connection is to be closed once what waits is sent. */
  #closing = null;
  #outbox = null;
  #liveness = new Liveness();
  /** Counts the connections that ended. */
  #connectionNumber = 0;

  /** The daemon's address. */
  address = "";
  /** `idle`, `connecting`, `greeting`, `pairing`, `connected` or `waiting`. */
  state = "idle";
  /** Why it is so, in words. */
  note = "";
  /** The pairing code to show, where one is awaited. */
  code = null;
  /** Whether the daemon waits for the user's word that it may do without pairing. */
  isUnconfirmed = false;
  /** How many frames found no room. */
  dropped = 0;

  /**
   * @param {object} env what the world offers: `WebSocket`, `setTimeout`, `clearTimeout`, `now`, `random`,
   *   `hello(nonce)`, `pairing` (whom to believe), `probe(address)` → promise of whether anything answers there
   * @param {object} on what to tell: `state()`, `greeted(ack)`, `frame(frame)`, `lost()`, `log(level, message)`
   */
  constructor(env, on) {
    this.#env = env;
    this.#on = on;
  }

  /** Begins, or begins anew at another address. */
  start(address) {
    if (this.state === "idle") this.#tick();
    if (address === this.address) return;
    this.#failed = false;
    this.address = address;
    this.reconnect("the address was set");
  }

  /** Closes what is open, once what waits is sent, and dials at once. */
  reconnect(why) {
    if (this.#closing !== null) return;
    const parting = this.flushed();
    if (parting === undefined) return this.#reconnectNow(why);
    this.#closing = parting;
    void parting.then(() => this.#closing === parting && this.#reconnectNow(why));
  }

  #reconnectNow(why) {
    this.#drop(1000, "reconnect");
    this.#attempts = 0;
    this.#connect(why);
  }

  /** The network or the machine is back: dials at once, unless all is well. */
  wake(why) {
    if (this.state === "waiting") {
      this.#attempts = 0;
      this.#connect(why);
    } else if (this.state === "connected") {
      this.#requestState();
    }
  }

  /** Whether the daemon has greeted us. */
  get connected() {
    return this.state === "connected";
  }

  /** Which of the greeted connections it is, as a number; undefined when there is none. */
  get connection() {
    return this.connected ? this.#connectionNumber : undefined;
  }

  /** Bytes that are not on their way yet. */
  get unsent() {
    return this.#outbox?.unsent ?? 0;
  }

  /** Sends a frame (JSON text). False when there is no greeted daemon or no room, of which there is more for an `end`. */
  send(frame, end = false) {
    if (!this.connected) return false;
    const sent = this.#outbox.send(frame, end);
    if (!sent) this.dropped += 1;
    return sent;
  }

  /** Resolves once less than `bytes` wait to be sent, or the connection is lost; undefined when that is so already. */
  room(bytes = SOCKET_BYTES_HIGH / 4) {
    return this.connected ? this.#outbox.room(bytes) : undefined;
  }

  /** Resolves once nothing waits to be sent, the connection is lost, or that takes too long; undefined when nothing waits. */
  flushed() {
    return this.connected ? this.#outbox.drained(FLUSH_MAX_MS) : undefined;
  }

  /** Does `work` once `ready` is settled, unless the connection of now has ended by then. */
  async ifStillConnected(ready, work) {
    const { connection } = this;
    await ready;
    if (connection !== undefined && connection === this.connection) work();
  }

  /** The code that waits for the operator was to be seen by the user. */
  codeShown(code) {
    if (this.state === "pairing" && code === this.code) this.#env.pairing.codeShown();
  }

  #setState(state, note, { code = null, isUnconfirmed = false } = {}) {
    const is = { state, note, code, isUnconfirmed };
    if (Object.entries(is).every(([name, value]) => this[name] === value)) return;
    Object.assign(this, is);
    this.#on.state();
  }

  #connect(why) {
    this.#env.clearTimeout(this.#connectTimer);
    this.#connectTimer = null;
    if (this.#socket !== null || this.#probe !== null) return;
    this.#probeFound = false;
    if (this.#failed) void this.#probeThenOpen(why);
    else this.#open(why);
  }

  /**
   * Dials only where something answers. Of each failed dial Firefox keeps a pause for that address, up to a minute, in
   * which the next socket says nothing and goes nowhere; a plain request has none.
   */
  async #probeThenOpen(why) {
    const probe = {};
    this.#probe = probe;
    const answered = await this.#env.probe(this.address).catch(() => false);
    if (this.#probe !== probe) return;
    this.#probe = null;
    this.#probeFound = answered;
    if (answered) this.#open(why);
    else this.#retry(NOT_RUNNING);
  }

  #open(why) {
    let socket;
    try {
      socket = new this.#env.WebSocket(this.address);
    } catch {
      this.#setState("waiting", "The daemon's address is not usable.");
      return;
    }
    this.#socket = socket;
    this.#challenged = false;
    this.#loggedLines = 0;
    this.#setState("connecting", why);
    this.#helloTimer = this.#env.setTimeout(() => {
      const opened = this.state === "hello";
      this.#fail(4002, opened ? "The daemon did not greet in time." : "The connection did not open in time.");
    }, HELLO_MAX_MS);
    const mine = (handler) => (event) => {
      if (this.#socket === socket) handler(event);
    };
    socket.onopen = mine(() => {
      this.#liveness.heard(this.#env.now());
      this.#setState("hello", "");
      socket.send(this.#env.hello(this.#env.pairing.begin(this.address)));
    });
    socket.onmessage = mine((event) => this.#received(socket, event.data));
    socket.onclose = mine((event) => this.#closed(event.code, event.reason));
    socket.onerror = () => {};
  }

  #received(socket, data) {
    this.#liveness.heard(this.#env.now());
    this.#env.clearTimeout(this.#recheckTimer);
    if (typeof data !== "string") return;
    if (!this.connected && data.length > UNTRUSTED_CHARS_MAX) return this.#logProblem("A frame of the daemon was too long before its greeting.");
    const { frame, fault } = wire.read(data);
    if (fault !== undefined) this.#logProblem(`A frame of the daemon was not understood: ${fault}`);
    if (frame === undefined) return;
    if (frame.type === "challenge") {
      if (this.state !== "hello" || this.#challenged) return;
      this.#challenged = true;
      void this.#authenticate(socket, frame);
    } else if (frame.type === "hello_ack") {
      const { fault, isUnconfirmed } = this.connected ? {} : this.#env.pairing.acknowledged(frame);
      if (fault !== undefined) return this.#rejectDaemon(fault);
      if (isUnconfirmed) return this.#awaitConfirmation();
      this.#env.clearTimeout(this.#helloTimer);
      this.#attempts = 0;
      this.#failed = false;
      this.#outbox ??= new Outbox(this.#socket, this.#env);
      this.#liveness.setHeartbeat(frame.heartbeat_ms);
      this.#setState("connected", "");
      this.#on.connected(frame);
    } else if (frame.type === "pairing_required") {
      if (this.connected) return;
      const fault = this.#env.pairing.pairingRequired();
      if (fault !== undefined) return this.#rejectDaemon(fault);
      this.#env.clearTimeout(this.#helloTimer);
      this.#setState("pairing", "Approve this browser at the daemon.", { code: frame.code });
    } else if (this.connected) {
      this.#on.frame(frame.type === "api_request" ? withRawBody(frame, data) : frame);
    } else if (frame.type === "error") {
      this.#logProblem(`The daemon answered ${frame.code}.`);
    }
  }

  /** Logs what the daemon did wrong; of one that is not believed yet, only so much. */
  #logProblem(line) {
    if (!this.connected) this.#loggedLines += 1;
    if (this.#loggedLines <= UNTRUSTED_LINES_MAX || this.connected) this.#on.log("warn", line);
  }

  /** The daemon has proved itself, or not; only then is ours proved. */
  async #authenticate(socket, challenge) {
    const { auth, fault } = await this.#env.pairing.answer(challenge).catch(() => ({ fault: FALSE_DAEMON }));
    if (this.#socket !== socket) return;
    if (fault === undefined) socket.send(auth);
    else this.#rejectDaemon(fault);
  }

  /** Whoever is there is told nothing more, and not asked again soon. */
  #rejectDaemon(words) {
    this.#on.log("error", words);
    this.#drop(4003, "");
    this.#failed = true;
    this.#wait(refusalPause(this.#env.random()), words);
  }

  /** Nobody is kept waiting on a connection on which nothing is done: it is made again when the user has confirmed it. */
  #awaitConfirmation() {
    this.#drop(4003, "not confirmed");
    this.#failed = false;
    this.#wait(refusalPause(this.#env.random()), UNCONFIRMED, { isUnconfirmed: true });
  }

  #closed(code, reason) {
    const refusal = refusalNote(code, this.state);
    const opened = this.state !== "connecting";
    this.#reset();
    if (refusal === undefined) return this.#retry(closeNote({ code, reason, opened, answered: this.#probeFound }));
    this.#failed = true;
    return this.#wait(refusalPause(this.#env.random()), refusal);
  }

  /** Dials again after a pause. */
  #retry(words) {
    this.#failed = true;
    this.#attempts += 1;
    this.#wait(backoffPause(this.#attempts, this.#env.random()), words);
  }

  #wait(ms, words, more) {
    this.#setState("waiting", words, more);
    this.#env.clearTimeout(this.#connectTimer);
    this.#connectTimer = this.#env.setTimeout(() => this.#connect("dialling again"), ms);
  }

  #fail(code, words) {
    this.#on.log("warn", words);
    this.#drop(code, "");
    this.#retry(words);
  }

  /** Closes the socket without waiting for its close event, which no longer concerns anybody. */
  #drop(code, reason) {
    const socket = this.#socket;
    this.#reset();
    if (socket === null) return;
    try {
      socket.close(code, reason);
    } catch {
      socket.close();
    }
  }

  #reset() {
    const was = this.connected;
    this.#socket = null;
    this.#probe = null;
    this.#connectionNumber += 1;
    this.#env.clearTimeout(this.#helloTimer);
    this.#env.clearTimeout(this.#recheckTimer);
    this.#closing = null;
    if (was) {
      this.state = "waiting";
      this.#on.lost();
    }
    this.#outbox?.close();
    this.#outbox = null;
  }

  #requestState() {
    if (this.#liveness.shouldAsk()) this.send(wire.stateRequest(), true);
  }

  /** The connection is most likely half gone, or else all is well: the daemon's answer tells. */
  #recheck() {
    // What was silent is the time that jumped, not the daemon.
    this.#liveness.heard(this.#env.now());
    this.#requestState();
    this.#env.clearTimeout(this.#recheckTimer);
    this.#recheckTimer = this.#env.setTimeout(() => this.#reconnectNow("the machine was asleep"), RECHECK_MAX_MS);
  }

  #tick() {
    this.#env.setTimeout(() => this.#tick(), TICK_MS);
    const sign = this.#liveness.check(this.#env.now());
    if (sign === "slept" && this.connected) this.#recheck();
    else if (sign === "slept") this.#reconnectNow("the machine was asleep");
    else if (sign === "silent" && this.connected && this.#socket.readyState === OPEN) this.#fail(4004, "The daemon fell silent.");
    else if (sign !== "well" && this.connected) this.#requestState();
  }
}
