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
import { endOf, NOBODY, pauseAfter, pauseAfterRefusal, refusalOf } from "./backoff.js";
import { withBodyAsItCame } from "./body.js";
import { Liveness, TICK_MS } from "./liveness.js";
import { Outbox, SOCKET_BYTES_HIGH } from "./outbox.js";
import { FALSE_DAEMON } from "./pairing.js";

/** How long dialling and greeting may take. */
export const GREETING_MAX_MS = 10_000;
/** How long the daemon may take to say that the connection outlived that. */
export const DOUBT_MAX_MS = 4_000;
/** How long what waits may take to be sent before a connection is closed on purpose. */
export const PARTING_MAX_MS = 2_000;
/** The longest frame that is read, and how many lines may be logged, of a daemon that is not believed yet. */
export const UNGREETED_CHARS_MAX = 1 << 20;
const UNGREETED_LINES_MAX = 8;
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
  #answered = false;
  #dialTimer = null;
  #greetTimer = null;
  #doubtTimer = null;
  /** Of the connection of now: whether it was challenged, and lines that were logged before it was greeted. */
  #challenged = false;
  #lines = 0;
  /** Under way when the connection is to be closed once what waits is sent. */
  #parting = null;
  #outbox = null;
  #liveness = new Liveness();
  /** Counts the connections that ended. */
  #ended = 0;

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
    if (this.#parting !== null) return;
    const parting = this.parting();
    if (parting === undefined) return this.#anew(why);
    this.#parting = parting;
    void parting.then(() => this.#parting === parting && this.#anew(why));
  }

  #anew(why) {
    this.#drop(1000, "reconnect");
    this.#attempts = 0;
    this.#dial(why);
  }

  /** The network or the machine is back: dials at once, unless all is well. */
  wake(why) {
    if (this.state === "waiting") {
      this.#attempts = 0;
      this.#dial(why);
    } else if (this.state === "connected") {
      this.#ask();
    }
  }

  /** Whether the daemon has greeted us. */
  get connected() {
    return this.state === "connected";
  }

  /** Which of the greeted connections it is, as a number; undefined when there is none. */
  get connection() {
    return this.connected ? this.#ended : undefined;
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
  parting() {
    return this.connected ? this.#outbox.emptied(PARTING_MAX_MS) : undefined;
  }

  /** Does `work` once `ready` is settled, unless the connection of now has ended by then. */
  async still(ready, work) {
    const { connection } = this;
    await ready;
    if (connection !== undefined && connection === this.connection) work();
  }

  /** The code that waits for the operator was to be seen by the user. */
  codeShown(code) {
    if (this.state === "pairing" && code === this.code) this.#env.pairing.shown();
  }

  #become(state, note, { code = null, isUnconfirmed = false } = {}) {
    const is = { state, note, code, isUnconfirmed };
    if (Object.entries(is).every(([name, value]) => this[name] === value)) return;
    Object.assign(this, is);
    this.#on.state();
  }

  #dial(why) {
    this.#env.clearTimeout(this.#dialTimer);
    this.#dialTimer = null;
    if (this.#socket !== null || this.#probe !== null) return;
    this.#answered = false;
    if (this.#failed) void this.#look(why);
    else this.#open(why);
  }

  /**
   * Dials only where something answers. Of each failed dial Firefox keeps a pause for that address, up to a minute, in
   * which the next socket says nothing and goes nowhere; a plain request has none.
   */
  async #look(why) {
    const probe = {};
    this.#probe = probe;
    const answered = await this.#env.probe(this.address).catch(() => false);
    if (this.#probe !== probe) return;
    this.#probe = null;
    this.#answered = answered;
    if (answered) this.#open(why);
    else this.#again(NOBODY);
  }

  #open(why) {
    let socket;
    try {
      socket = new this.#env.WebSocket(this.address);
    } catch {
      this.#become("waiting", "The daemon's address is not usable.");
      return;
    }
    this.#socket = socket;
    this.#challenged = false;
    this.#lines = 0;
    this.#become("connecting", why);
    this.#greetTimer = this.#env.setTimeout(() => {
      const opened = this.state === "greeting";
      this.#fail(4002, opened ? "The daemon did not greet in time." : "The connection did not open in time.");
    }, GREETING_MAX_MS);
    const mine = (handler) => (event) => {
      if (this.#socket === socket) handler(event);
    };
    socket.onopen = mine(() => {
      this.#liveness.heard(this.#env.now());
      this.#become("greeting", "");
      socket.send(this.#env.hello(this.#env.pairing.begin(this.address)));
    });
    socket.onmessage = mine((event) => this.#received(socket, event.data));
    socket.onclose = mine((event) => this.#closed(event.code, event.reason));
    socket.onerror = () => {};
  }

  #received(socket, data) {
    this.#liveness.heard(this.#env.now());
    this.#env.clearTimeout(this.#doubtTimer);
    if (typeof data !== "string") return;
    if (!this.connected && data.length > UNGREETED_CHARS_MAX) return this.#note("A frame of the daemon was too long before its greeting.");
    const { frame, fault } = wire.read(data);
    if (fault !== undefined) this.#note(`A frame of the daemon was not understood: ${fault}`);
    if (frame === undefined) return;
    if (frame.type === "challenge") {
      if (this.state !== "greeting" || this.#challenged) return;
      this.#challenged = true;
      void this.#answer(socket, frame);
    } else if (frame.type === "hello_ack") {
      const { fault, isUnconfirmed } = this.connected ? {} : this.#env.pairing.greeted(frame);
      if (fault !== undefined) return this.#distrust(fault);
      if (isUnconfirmed) return this.#unconfirmed();
      this.#env.clearTimeout(this.#greetTimer);
      this.#attempts = 0;
      this.#failed = false;
      this.#outbox ??= new Outbox(this.#socket, this.#env);
      this.#liveness.beatsEvery(frame.heartbeat_ms);
      this.#become("connected", "");
      this.#on.greeted(frame);
    } else if (frame.type === "pairing_required") {
      if (this.connected) return;
      const fault = this.#env.pairing.asked();
      if (fault !== undefined) return this.#distrust(fault);
      this.#env.clearTimeout(this.#greetTimer);
      this.#become("pairing", "Approve this browser at the daemon.", { code: frame.code });
    } else if (this.connected) {
      this.#on.frame(frame.type === "api_request" ? withBodyAsItCame(frame, data) : frame);
    } else if (frame.type === "error") {
      this.#note(`The daemon answered ${frame.code}.`);
    }
  }

  /** Logs what the daemon did wrong; of one that is not believed yet, only so much. */
  #note(line) {
    if (!this.connected) this.#lines += 1;
    if (this.#lines <= UNGREETED_LINES_MAX || this.connected) this.#on.log("warn", line);
  }

  /** The daemon has proved itself, or not; only then is ours proved. */
  async #answer(socket, challenge) {
    const { auth, fault } = await this.#env.pairing.answer(challenge).catch(() => ({ fault: FALSE_DAEMON }));
    if (this.#socket !== socket) return;
    if (fault === undefined) socket.send(auth);
    else this.#distrust(fault);
  }

  /** Whoever is there is told nothing more, and not asked again soon. */
  #distrust(words) {
    this.#on.log("error", words);
    this.#drop(4003, "");
    this.#failed = true;
    this.#pause(pauseAfterRefusal(this.#env.random()), words);
  }

  /** Nobody is kept waiting on a connection on which nothing is done: it is made again when the user has confirmed it. */
  #unconfirmed() {
    this.#drop(4003, "not confirmed");
    this.#failed = false;
    this.#pause(pauseAfterRefusal(this.#env.random()), UNCONFIRMED, { isUnconfirmed: true });
  }

  #closed(code, reason) {
    const refusal = refusalOf(code, this.state);
    const opened = this.state !== "connecting";
    this.#forget();
    if (refusal === undefined) return this.#again(endOf({ code, reason, opened, answered: this.#answered }));
    this.#failed = true;
    return this.#pause(pauseAfterRefusal(this.#env.random()), refusal);
  }

  /** Dials again after a pause. */
  #again(words) {
    this.#failed = true;
    this.#attempts += 1;
    this.#pause(pauseAfter(this.#attempts, this.#env.random()), words);
  }

  #pause(ms, words, more) {
    this.#become("waiting", words, more);
    this.#env.clearTimeout(this.#dialTimer);
    this.#dialTimer = this.#env.setTimeout(() => this.#dial("dialling again"), ms);
  }

  #fail(code, words) {
    this.#on.log("warn", words);
    this.#drop(code, "");
    this.#again(words);
  }

  /** Closes the socket without waiting for its close event, which no longer concerns anybody. */
  #drop(code, reason) {
    const socket = this.#socket;
    this.#forget();
    if (socket === null) return;
    try {
      socket.close(code, reason);
    } catch {
      socket.close();
    }
  }

  #forget() {
    const was = this.connected;
    this.#socket = null;
    this.#probe = null;
    this.#ended += 1;
    this.#env.clearTimeout(this.#greetTimer);
    this.#env.clearTimeout(this.#doubtTimer);
    this.#parting = null;
    if (was) {
      this.state = "waiting";
      this.#on.lost();
    }
    this.#outbox?.close();
    this.#outbox = null;
  }

  #ask() {
    if (this.#liveness.asks()) this.send(wire.stateRequest(), true);
  }

  /** The connection is most likely half gone, or else all is well: the daemon's answer tells. */
  #doubt() {
    // What was silent is the time that jumped, not the daemon.
    this.#liveness.heard(this.#env.now());
    this.#ask();
    this.#env.clearTimeout(this.#doubtTimer);
    this.#doubtTimer = this.#env.setTimeout(() => this.#anew("the machine was asleep"), DOUBT_MAX_MS);
  }

  #tick() {
    this.#env.setTimeout(() => this.#tick(), TICK_MS);
    const sign = this.#liveness.look(this.#env.now());
    if (sign === "slept" && this.connected) this.#doubt();
    else if (sign === "slept") this.#anew("the machine was asleep");
    else if (sign === "silent" && this.connected && this.#socket.readyState === OPEN) this.#fail(4004, "The daemon fell silent.");
    else if (sign !== "well" && this.connected) this.#ask();
  }
}
