/** Passes the daemon's frames to the parts that handle them. Every command is answered, also if it fails. */
import * as wire from "../wire.js";

const COMMANDS = new Set([
  "open_tab",
  "reload",
  "plugin_status",
  "tab_restore",
  "request_credentials",
  "ws_reconnect",
  "controller_reload",
]);

/** Routes frames of the daemon. */
export class Router {
  #env;

  /** @param {object} env `link`, `messages`, `system`, `shells`, `tabs`, `proxy`, `report`, `reloadExtension()`, `log`, `clientId()` */
  constructor(env) {
    this.#env = env;
  }

  /** Handles a frame of a known type. */
  frame(frame) {
    const { proxy, messages, system, log } = this.#env;
    if (frame.type === "api_request") void proxy.request(frame);
    else if (frame.type === "request_cancel") proxy.cancel(frame);
    else if (frame.type === "state_snapshot") {
      system.modeReported(frame.snapshot?.system);
      void messages.confirmed(frame.snapshot?.browser?.clients?.[0]?.final_messages);
    } else if (frame.type === "action_result") system.actionAnswered(frame);
    else if (frame.type === "error") log("warn", `The daemon answered ${frame.code} to ${frame.in_reply_to ?? "a frame"}.`);
    else if (COMMANDS.has(frame.type)) void this.command(frame);
  }

  /** Performs a command and answers it. */
  async command(frame) {
    let done;
    try {
      done = await this.#perform(frame);
    } catch (error) {
      done = { failed: true, reason: "action_failed" };
      this.#env.log("error", `${frame.type} failed: ${error?.name ?? "Error"}.`);
    }
    if (frame.request_id) this.#answer(frame, done);
    if (!done.failed) await this.#performAfterAnswer(frame);
  }

  async #perform({ type, action, platform, reason }) {
    const { shells, tabs, report } = this.#env;
    if (platform && shells.platform(platform) === undefined) return { failed: true, reason: "platform_not_supported" };
    const about = platform ? [platform] : shells.names;
    const as = { action, reason };
    if (type === "open_tab") return this.#summary([await tabs.open(platform, { ...as, focus: action === "tab_focus" })]);
    if (type === "tab_restore") return this.#summary(await tabs.restore(platform, as));
    if (type === "reload") {
      const results = [];
      for (const name of about) if (platform || shells.runtime(name).actual.exists) results.push(await tabs.reload(name, as));
      return this.#summary(results);
    }
    if (type === "request_credentials") report.reportAll(about);
    return this.#summary(about.map((name) => this.#status(name)));
  }

  #status(name) {
    const runtime = this.#env.shells.runtime(name);
    return { ok: true, platform: name, restored: false, shell_runtime: runtime, tab_id: runtime.actual.tab_id };
  }

  #summary(results) {
    const failed = results.filter((result) => !result.ok);
    return { results, failed: failed.length > 0, reason: failed[0]?.skipped ?? (failed.length > 0 ? "tab_unavailable" : undefined) };
  }

  #answer({ type, request_id, action, platform }, { results = [], failed, reason }) {
    const { link, shells } = this.#env;
    const shown = results.map((result) => result.platform);
    link.send(
      wire.actionResult({
        request_id,
        action,
        command_type: type,
        accepted: true,
        completed: type !== "ws_reconnect",
        failed,
        reason,
        target: { platform, requested_client_id: this.#env.clientId(), requested_platform: platform },
        results,
        shell_runtime: shown.map((name) => shells.runtime(name)).filter(Boolean),
      }),
      true,
    );
  }

  /** Performs what has to follow the answer. */
  async #performAfterAnswer({ type }) {
    const { link, reloadExtension } = this.#env;
    if (type === "ws_reconnect") link.reconnect("the daemon requested it");
    if (type !== "controller_reload") return;
    await link.flushed();
    reloadExtension();
  }
}
