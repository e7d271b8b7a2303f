/**
 * The frames between the extension and the daemon, protocol `baa.firefox/1`: functions that create the outbound frames,
 * and one that reads inbound ones. Undefined fields are omitted, the order of fields is fixed; bodies and events are
 * inserted as their original JSON text, so that no number loses a digit.
 */

/** The protocol's name in `hello`. */
export const PROTOCOL = "baa.firefox/1";

/** JSON with more levels than this is sent as a string: the daemon refuses a frame of more than 128 levels. */
const DEPTH_MAX = 120;

const frame = (type, fields) => JSON.stringify({ type, ...fields });

/** Inserts JSON text into a frame as its last field. */
const withJson = (head, name, json) => `${head.slice(0, -1)},${JSON.stringify(name)}:${json}}`;

/** Whether the valid JSON `text` has more levels than the daemon reads. */
function tooDeep(text) {
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i += 1) {
    const c = text.charCodeAt(i);
    if (quoted) {
      if (c === 92) i += 1;
      else if (c === 34) quoted = false;
    } else if (c === 34) {
      quoted = true;
    } else if (c === 123 || c === 91) {
      depth += 1;
      if (depth > DEPTH_MAX) return true;
    } else if (c === 125 || c === 93) {
      depth -= 1;
    }
  }
  return false;
}

/** Returns `text` itself if it is JSON, else a JSON string of it. */
export function jsonOrString(text) {
  try {
    JSON.parse(text);
  } catch {
    return JSON.stringify(text);
  }
  return text.length > DEPTH_MAX && tooDeep(text) ? JSON.stringify(text) : text;
}

/** `hello`: the first frame of a connection. */
export const hello = ({ client_id, extension_version, nonce }) =>
  frame("hello", {
    client_id,
    node_type: "browser",
    node_category: "proxy",
    node_platform: "firefox",
    protocol: PROTOCOL,
    extension_version,
    nonce,
  });

/** `auth`: the proof of a paired client. */
export const auth = ({ proof }) => frame("auth", { proof });

/** `state_request`: requests a `state_snapshot`. */
export const stateRequest = () => frame("state_request", {});

/** `action_request`: requests that the daemon pauses, resumes or drains. */
export const actionRequest = ({ action, request_id }) => frame("action_request", { action, request_id });

/** `credentials`: a login as header names and fingerprint, never values. */
export const credentials = (login) =>
  frame("credentials", {
    platform: login.platform,
    account: login.account,
    credential_fingerprint: login.credential_fingerprint,
    freshness: login.freshness,
    captured_at: login.captured_at,
    last_seen_at: login.last_seen_at,
    header_names: login.header_names,
    timestamp: login.timestamp,
    shell_runtime: login.shell_runtime,
  });

/** `api_endpoints`: the endpoints that the page uses, and the state of its tab. */
export const apiEndpoints = (seen) =>
  frame("api_endpoints", {
    platform: seen.platform,
    account: seen.account,
    credential_fingerprint: seen.credential_fingerprint,
    updated_at: seen.updated_at,
    endpoints: seen.endpoints,
    endpoint_metadata: seen.endpoint_metadata,
    prompt_template: seen.prompt_template,
    prompt_accepted: seen.prompt_accepted,
    shell_runtime: seen.shell_runtime,
  });

/** `api_response`: a whole answer. `text` is the body, inserted as JSON if it is JSON. */
export function apiResponse({ id, ok, status, text, error, headers }) {
  const head = frame("api_response", { id, ok, status, error, headers });
  return withJson(head, "body", text === undefined || text === "" ? "null" : jsonOrString(text));
}

/** `stream_open`: status and headers of a stream. */
export const streamOpen = ({ id, stream_id, status, meta, headers }) =>
  frame("stream_open", { id, stream_id, status, meta, headers });

/** `stream_event`: one event; `data` is text, inserted as JSON if it is JSON. */
export function streamEvent({ id, stream_id, seq, event, data, raw }) {
  return withJson(frame("stream_event", { id, stream_id, seq, event, raw }), "data", jsonOrString(data));
}

/** `stream_end`: the stream is complete. */
export const streamEnd = ({ id, stream_id, status }) => frame("stream_end", { id, stream_id, status });

/** `stream_error`: the stream failed. */
export const streamError = ({ id, stream_id, status, code, message }) =>
  frame("stream_error", { id, stream_id, status, code, message });

/** `progress`: the request is still running. */
export const progress = ({ id }) => frame("progress", { id });

/** `platform_status`: the number of answers in an unknown format. */
export const platformStatus = ({ platform, extractor_drift, last_drift_at }) =>
  frame("platform_status", { platform, extractor_drift, last_drift_at });

/** `action_result`: the result of an action. */
export const actionResult = (done) =>
  frame("action_result", {
    request_id: done.request_id,
    action: done.action,
    command_type: done.command_type,
    accepted: done.accepted,
    completed: done.completed,
    failed: done.failed,
    reason: done.reason,
    target: done.target,
    result: done.result,
    results: done.results,
    shell_runtime: done.shell_runtime,
  });

/** `browser.final_message`: a complete message of the assistant. */
export const finalMessage = (message) =>
  frame("browser.final_message", {
    platform: message.platform,
    assistant_message_id: message.assistant_message_id,
    raw_text: message.raw_text,
    conversation_id: message.conversation_id,
    observed_at: message.observed_at,
  });

/** `client_log`: a line for the daemon's log. */
export const clientLog = ({ level, message }) => frame("client_log", { level, message });

const text = (value) => typeof value === "string" && value !== "";
/** The user is shown the code, which any program may send, so only six digits are valid. */
const sixDigits = (value) => typeof value === "string" && /^\d{6}$/.test(value);
const word = (value) => typeof value === "string" && /^[a-z][a-z0-9_]{0,63}$/.test(value);
const optional = (check) => (value) => value === undefined || value === null || check(value);
const object = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const headersOk = (value) => object(value) && Object.values(value).every((v) => typeof v === "string");

/** Checks the fields of a registry entry that the extension uses. */
const platformOk = (value) =>
  object(value) && text(value.platform) && text(value.shell_url) && Array.isArray(value.hosts) && value.hosts.every(text) && [value.answer_hosts, value.credential_paths].every(optional((v) => Array.isArray(v) && v.every(text)));

const command = { request_id: text, action: text, platform: optional(text), reason: optional(text) };

/** Checks of the fields of each inbound frame. */
const FRAMES = {
  hello_ack: {
    client_id: text,
    connection_id: text,
    heartbeat_ms: optional((v) => Number.isFinite(v) && v > 0),
    platforms: (v) => Array.isArray(v) && v.every(platformOk),
    pairing: optional(text),
    client_secret: optional(text),
  },
  challenge: { nonce: text, proof: text },
  pairing_required: { code: sixDigits },
  error: { code: word, message: optional((v) => typeof v === "string") },
  state_snapshot: { reason: optional(text), snapshot: object },
  api_request: {
    id: text,
    platform: text,
    method: optional(text),
    path: optional((v) => typeof v === "string"),
    headers: optional(headersOk),
    prompt: optional((v) => typeof v === "string"),
    response_mode: optional(text),
    stream_id: optional(text),
  },
  request_cancel: { id: text, reason: optional(text) },
  open_tab: { ...command, platform: text },
  reload: command,
  plugin_status: command,
  tab_restore: command,
  ws_reconnect: command,
  controller_reload: command,
  request_credentials: { ...command, request_id: optional(text), action: optional(text) },
  action_result: { request_id: text, action: text },
};

/** The known types of inbound frames. */
export const INBOUND = Object.keys(FRAMES);

/**
 * Reads a frame of the daemon. Unknown fields are kept; an unknown type is `{ignored}`, an invalid frame `{fault}`.
 * @returns {{frame?: object, ignored?: string, fault?: string}}
 */
export function read(source) {
  let value;
  try {
    value = JSON.parse(source);
  } catch {
    return { fault: "not JSON" };
  }
  if (!object(value) || !text(value.type)) return { fault: "without a type" };
  if (!Object.hasOwn(FRAMES, value.type)) return { ignored: value.type };
  for (const [name, holds] of Object.entries(FRAMES[value.type])) {
    if (!holds(value[name])) return { fault: `${value.type}: bad field ${name}` };
  }
  return { frame: value };
}
