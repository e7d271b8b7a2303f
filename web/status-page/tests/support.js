/** What the daemon answers, small enough to be read. */

export const NOW = 1_795_882_700_000;

export const client = (id, more) => ({ client_id: id, connection_id: `c-${id}`, connected_at: NOW - 60_000, last_message_at: NOW - 1_000, credentials: [], shell_runtime: [], in_flight: 0, ...more });

export const tab = (platform, more) => ({ platform, desired: { exists: true }, actual: { exists: true, healthy: true, title: "A title", ...more?.actual }, drift: { needs_restore: false, ...more?.drift } });

export const record = (platform, client_id, status, more) => ({
  platform,
  client_id,
  status,
  live: { connection_id: "c", credentials: { freshness: "fresh", last_seen_at: NOW - 10_000 } },
  persisted: { last_seen_at: NOW - 20_000 },
  ...more,
});

export const target = (more) => ({ client_id: "ff", platform: "claude", circuit_state: "closed", in_flight: 0, waiting: 0, consecutive_failures: 0, ...more });

export function browser(more = {}) {
  const clients = more.clients ?? [client("ff")];
  return {
    bridge: { clients, client_count: clients.length, active_client_id: clients[0]?.client_id ?? null },
    platforms: [
      { platform: "chatgpt", title: "ChatGPT", ready: false },
      { platform: "claude", title: "Claude", ready: true },
    ],
    records: [record("claude", "ff", "fresh")],
    policy: { defaults: { rate_limit: { requests_per_minute_per_platform: 10, window_ms: 60_000 } }, platforms: [{ platform: "claude", recent_dispatch_count: 3, waiting: 0 }], targets: [] },
    ...more,
  };
}

export const status = (more) => ({ mode: "running", version: "1.2.3", uptime_ms: 5_000, in_flight_requests: 0, bridge: { client_count: 1 }, store: { status: "ok", faults: [] }, policy: { open_circuits: 0, waiting: 0 }, ...more });
