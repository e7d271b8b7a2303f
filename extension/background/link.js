/**
 * The WebSocket to the daemon: opens it, performs the handshake, checks it, and opens it again when it is lost. There are
 * never two at once.
 *
 *     idle → connecting → hello → connected
 *                 ↑         ↓ pairing   ↓
 *                 └───── waiting ←──────┘
 *
 * A daemon that is not authenticated is sent only `hello` and the answer to its challenge, and none of its frames is
 * passed on.
 */
import * as wire from "../wire.js";
import { closeNote, NOT_RUNNING, backoffPause, refusalPause, refusalNote } from "./backoff.js";
import { withRawBody } from "./body.js";
import { Liveness, TICK_MS } from "./liveness.js";
import { Outbox, SOCKET_BYTES_HIGH } from "./outbox.js";
import { FALSE_DAEMON } from "./pairing.js";

/** How long the handshake may take, from the start of the connection. */
export const HELLO_MAX_MS = 10_000;
/** How long the daemon may take to answer after a sleep of the machine. */
export const RECHECK_MAX_MS = 4_000;
/** How long unsent frames may delay a deliberate close. */
export const FLUSH_MAX_MS = 2_000;
/** The longest frame that is read from a daemon that is not authenticated, and most lines that are logged about it. */
export const UNTRUSTED_CHARS_MAX = 1 << 20;
const UNTRUSTED_LINES_MAX = 8;
const OPEN = 1;

/** The note about a daemon without pairing that the user has not confirmed. */
export const UNCONFIRMED =
  "The daemon at this address does not use pairing, so it cannot be distinguished from any other program that answers there. " +
  "Nothing but hello is sent to it, and none of its requests is performed, until you confirm it on this page.";

/** The connection to the daemon. */
export class Link {
  #env;
  #on;
  #socket = null;
  #attempts = 0;
  /** Whether the last connection, or the attempt at one, failed. */
  #failed = false;
  /** The probe in progress; whether the last one was answered. */
  #probe = null;
  #probeFound = false;
  #connectTimer = null;
  #helloTimer = null;
  #recheckTimer = null;
  /** Of this connection: whether the daemon sent its challenge, and the lines logged before `hello_ack`. */
  #challenged = false;
  #loggedLines = 0;
  /** The pending flush if the connection is being closed deliberately. */
  #closing = null;
  #outbox = null;
  #liveness = new Liveness();
  /** Number of connections that ended; identifies the current one. */
  #connectionNumber = 0;

  /** The daemon's address. */
  address = "";
  /** `idle`, `connecting`, `hello`, `pairing`, `connected` or `waiting`. */
  state = "idle";
  /** The reason for the state, as text. */
  note = "";
  /** The pairing code to show, while pairing. */
  code = null;
  /** Whether the daemon does not use pairing and the user has not confirmed it. */
  isUnconfirmed = false;
  /** Number of frames that were dropped because the queue was full. */
  dropped = 0;

  /**
   * @param {object} env `WebSocket`, `setTimeout`, `clearTimeout`, `now`, `random`, `hello(nonce)`, `pairing`,
   *   `probe(address)` → promise of whether anything answers there
   * @param {object} on callbacks: `state()`, `connected(ack)`, `frame(frame)`, `lost()`, `log(level, message)`
   */
  constructor(env, on) {
    this.#env = env;
    this.#on = on;
  }

  /** Starts, or changes the address. */
  start(address) {
    if (this.state === "idle") this.#tick();
    if (address === this.address) return;
    this.#failed = false;
    this.address = address;
    this.reconnect("the address was set");
  }

  /** Closes the connection once unsent frames are sent, and connects without a pause. */
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

  /** Connects without a pause if the link waits; checks a connection that is open. */
  wake(why) {
    if (this.state === "waiting") {
      this.#attempts = 0;
      this.#connect(why);
    } else if (this.state === "connected") {
      this.#requestState();
    }
  }

  /** Whether the handshake is complete. */
  get connected() {
    return this.state === "connected";
  }

  /** A number that identifies the connection; undefined while disconnected. */
  get connection() {
    return this.connected ? this.#connectionNumber : undefined;
  }

  /** Number of unsent bytes. */
  get unsent() {
    return this.#outbox?.unsent ?? 0;
  }

  /** Sends a frame (JSON text); returns false while disconnected or if the queue is full. An `end` has extra room. */
  send(frame, end = false) {
    if (!this.connected) return false;
    const sent = this.#outbox.send(frame, end);
    if (!sent) this.dropped += 1;
    return sent;
  }

  /** Resolves once fewer than `bytes` are unsent, or the connection is lost; undefined if that is so already. */
  room(bytes = SOCKET_BYTES_HIGH / 4) {
    return this.connected ? this.#outbox.room(bytes) : undefined;
  }

  /** Resolves once everything is sent, the connection is lost, or the time is over; undefined if nothing is unsent. */
  flushed() {
    return this.connected ? this.#outbox.drained(FLUSH_MAX_MS) : undefined;
  }

  /** Calls `work` once `ready` is settled, unless this connection has ended by then. */
  async ifStillConnected(ready, work) {
    const { connection } = this;
    await ready;
    if (connection !== undefined && connection === this.connection) work();
  }

  /** Notes that the user could see the pairing code. */
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
   * Opens a socket only if a plain request is answered. After each failed WebSocket, Firefox delays the next one to the
   * same address, by up to a minute; plain requests are not delayed.
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
      this.#setState("waiting", "The daemon's address is not valid.");
      return;
    }
    this.#socket = socket;
    this.#challenged = false;
    this.#loggedLines = 0;
    this.#setState("connecting", why);
    this.#helloTimer = this.#env.setTimeout(() => {
      const opened = this.state === "hello";
      this.#fail(4002, opened ? "The daemon did not acknowledge the connection in time." : "The connection did not open in time.");
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
    if (!this.connected && data.length > UNTRUSTED_CHARS_MAX) return this.#logProblem("The daemon sent too long a frame before it acknowledged the connection.");
    const { frame, fault } = wire.read(data);
    if (fault !== undefined) this.#logProblem(`The daemon sent an invalid frame: ${fault}`);
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
      this.#setState("pairing", "Approve this browser on the daemon's machine.", { code: frame.code });
    } else if (this.connected) {
      this.#on.frame(frame.type === "api_request" ? withRawBody(frame, data) : frame);
    } else if (frame.type === "error") {
      this.#logProblem(`The daemon answered ${frame.code}.`);
    }
  }

  /** Logs a fault of the daemon; before authentication only a few lines. */
  #logProblem(line) {
    if (!this.connected) this.#loggedLines += 1;
    if (this.#loggedLines <= UNTRUSTED_LINES_MAX || this.connected) this.#on.log("warn", line);
  }

  /** Verifies the daemon's proof, and only then sends this browser's. */
  async #authenticate(socket, challenge) {
    const { auth, fault } = await this.#env.pairing.answer(challenge).catch(() => ({ fault: FALSE_DAEMON }));
    if (this.#socket !== socket) return;
    if (fault === undefined) socket.send(auth);
    else this.#rejectDaemon(fault);
  }

  /** Closes the connection to a daemon that is not the right one, and waits for long. */
  #rejectDaemon(note) {
    this.#on.log("error", note);
    this.#drop(4003, "");
    this.#failed = true;
    this.#wait(refusalPause(this.#env.random()), note);
  }

  /** Closes the connection until the user has confirmed a daemon without pairing. */
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

  /** Connects again after a pause. */
  #retry(note) {
    this.#failed = true;
    this.#attempts += 1;
    this.#wait(backoffPause(this.#attempts, this.#env.random()), note);
  }

  #wait(ms, note, more) {
    this.#setState("waiting", note, more);
    this.#env.clearTimeout(this.#connectTimer);
    this.#connectTimer = this.#env.setTimeout(() => this.#connect("connecting again"), ms);
  }

  #fail(code, note) {
    this.#on.log("warn", note);
    this.#drop(code, "");
    this.#retry(note);
  }

  /** Closes the socket; its later events are ignored. */
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

  /** Requests an answer after the clock jumped, because the connection may be lost; without an answer it is made again. */
  #recheck() {
    // The jump of the clock is not silence of the daemon.
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
    else if (sign === "silent" && this.connected && this.#socket.readyState === OPEN) this.#fail(4004, "The daemon stopped responding.");
    else if (sign !== "well" && this.connected) this.#requestState();
  }
}
