/** Where the daemon listens for Firefox. */
export const DAEMON_WS = "ws://127.0.0.1:4317/ws/firefox";
