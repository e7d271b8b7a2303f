/** Where the daemon listens. `baa-conductor extension` rewrites this one line; the options page can override it. */
export const DAEMON_WS = "ws://127.0.0.1:4317/ws/firefox";
