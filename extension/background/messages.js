/** Hands final messages to the daemon, each once. */
export class Messages {
  #send;
  constructor({ storage, send, now }) {
    void [storage, now];
    this.#send = send;
  }

  /** A final message was seen. `send(frame)` answers true when the frame went to a greeted daemon. */
  async observed(message) {
    void message;
  }

  /** The daemon greeted us: send what waits. */
  async flush() {}
}
