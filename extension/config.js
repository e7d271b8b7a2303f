/** The daemon's address. `baa-conductor extension` rewrites this line; the options page can override it. */
export const DAEMON_WS = "ws://127.0.0.1:4317/ws/firefox";
