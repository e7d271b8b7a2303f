/**
 * A prompt template: a request of the page that contained a prompt, with slots for the prompt, ids and times. Pure.
 *
 * A filled template continues from the learned request: the conversation and the message it replies to stay. Ids that the
 * page creates for each send, and times, are new in each filling. No header with a credential is kept.
 */
import { endpoint } from "../platforms/index.js";
import { isPerRequest, isReplayed, isSettable } from "./headers.js";
import { joinBody, splitBody } from "./splice.js";

/** The longest body (without the prompt), address, shape and header of a template, and most headers. */
export const BODY_CHARS_MAX = 256 * 1024;
export const URL_CHARS_MAX = 4_096;
const SHAPE_CHARS_MAX = 16_384;
const HEADER_CHARS_MAX = 1_024;
const HEADERS_MAX = 32;
/** Least length of a prompt that occurs in several places, and most places. */
const REPEATED_CHARS_MIN = 16;
const PLACES_MAX = 8;
/** A time within this distance from now is the time of the send. */
const NOW_MS = 600_000;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;
/** Names of ids of earlier messages and conversations. */
const EARLIER = /parent|reply|replied|previous|prev_|root|last_|response|conversation|thread/;
/** Names of ids that a page creates for each send. */
const PER_SEND = /(^|_)(message|request|turn|event|trace|correlation|exchange|submission|generation|idempotency)_(uu)?id$|^(nonce|idempotency_key)$/;
const BARE_ID = /^_?(uu)?id$/;
const PER_SEND_HEADER = /^(x-)?(idempotency-key|(client-)?(message|request)-id)$/i;

/** Names of login fields. A request with one of them is never a template. */
const CREDENTIAL_NAME = /passw|passphrase|pass_?(code|key)|credential|(^|[^a-z])(pwd|passwd|pin|pin_?code|[th]?otp|otp_?code|mfa|2fa|cvv|cvc|secrets?)([^a-z]|$)|([^a-z]|^)pass$|one_time_(code|pass)|verification_code/;
/** Names and values of secrets; a number may be one too, unless it counts tokens. */
const SECRET_NAME = /token|csrf|xsrf|secret|signature|auth(?!ors?([^a-z]|$))|api_?key|jwt|nonce|captcha|turnstile|sentinel|proof|session|cookie|^at$|sid$/;
const COUNT_NAME = /tokens$/;
const SECRET_VALUE = /^(eyJ[\w-]+\.|Bearer\s)|^(?=.*\d)(?=.*[a-z])(?=.*[A-Z]).*[\w+/]{24}|^[0-9a-f]{32,}$/;
const CREDENTIAL_HEADER = /auth|token|csrf|xsrf|secret|key|session|cookie|signature|credential/i;

const snake = (key) => key.replace(/([a-z0-9])([A-Z])/g, "$1_$2").replaceAll("-", "_").toLowerCase();
const nameIn = (path) => snake(path.findLast((step) => typeof step === "string") ?? "");
const samePath = (a, b) => a.length === b.length && a.every((step, i) => step === b[i]);

/** Whether the page creates the id at this path for each send. */
function isPerSend(path, places) {
  const name = nameIn(path);
  if (EARLIER.test(name) || typeof path.at(-1) === "number") return false;
  if (PER_SEND.test(name)) return true;
  // The id of the object that contains the prompt; at the top level an id is rather the conversation's.
  const owner = path.slice(0, -1);
  return BARE_ID.test(name) && owner.length > 0 && places.some((place) => samePath(place.slice(0, owner.length), owner));
}

/** Returns the notation of a value that is the current time, or null. */
function clockOf(value, now) {
  if (typeof value === "number") {
    if (Math.abs(value - now) < NOW_MS) return "ms";
    if (Math.abs(value * 1_000 - now) < NOW_MS) return Number.isInteger(value) ? "s" : "s.ms";
    return null;
  }
  const isIso = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value);
  return isIso && Math.abs(Date.parse(value) - now) < NOW_MS ? "iso" : null;
}

const CLOCKS = {
  ms: (now) => String(Math.round(now)),
  s: (now) => String(Math.floor(now / 1_000)),
  "s.ms": (now) => (now / 1_000).toFixed(3),
  iso: (now) => new Date(now).toISOString(),
};

const isCredential = (path) => path.some((step) => typeof step === "string" && CREDENTIAL_NAME.test(snake(step)));

function isSecret(path, value) {
  const name = nameIn(path);
  if (typeof value === "number") return SECRET_NAME.test(name) && !COUNT_NAME.test(name);
  if (value === "" || UUID.test(value) || /\s/.test(value)) return false;
  return SECRET_VALUE.test(value) || SECRET_NAME.test(name);
}

/** Whether an address contains something like a secret. */
function holdsSecretIn({ pathname, searchParams }) {
  return pathname.split("/").some((segment) => isSecret([], segment)) || [...searchParams].some(([name, value]) => isSecret([name], value));
}

/** Normalizes white space, in which repetitions of a text may differ. */
const plain = (text) => text.replace(/[\u200b\ufeff]/g, "").replace(/\s+/g, " ").trim();

/** Returns the paths of all values in a body that equal the text at `place`, including `place`. */
export function pathsOfSameText(place, body, type) {
  let wanted;
  const survey = (visit) => splitBody(body, type, visit);
  survey((path, value) => {
    if (samePath(path, place)) wanted = plain(String(value));
    return undefined;
  });
  const places = [];
  survey((path, value) => {
    if (typeof value === "string" && plain(value) === wanted) places.push(path);
    return undefined;
  });
  return places;
}

/** Returns the headers of a template: no replayed ones, none of a single request, no credentials. */
function headersOf(headers) {
  const kept = {};
  for (const { name, value } of headers) {
    const lower = name.toLowerCase();
    if (Object.keys(kept).length >= HEADERS_MAX || typeof value !== "string" || value.length > HEADER_CHARS_MAX) continue;
    if (!isSettable(lower) || /^(accept-language|priority|pragma|cache-control)$/.test(lower)) continue;
    if (PER_SEND_HEADER.test(lower) && UUID.test(value)) kept[lower] = null;
    else if (!isReplayed(lower) && !isPerRequest(lower) && !CREDENTIAL_HEADER.test(lower) && !SECRET_VALUE.test(value)) kept[lower] = value;
  }
  return kept;
}

/**
 * Creates a template from a request.
 * @param {{method: string, url: string, page?: string, headers: {name: string, value?: string}[], body: string}} send
 * @param {(string | number)[][]} places the paths of the prompt in the body
 * @param {number} now the time of the send
 * @returns {{template: object} | {fault: string}} a fault is the end of a sentence for the log
 */
export function makeTemplate({ method, url, page, headers, body }, places, now) {
  const type = headers.find(({ name }) => name.toLowerCase() === "content-type")?.value;
  if (url.length > URL_CHARS_MAX) return { fault: "its address is too long" };
  if (places.length === 0 || places.length > PLACES_MAX) return { fault: "the prompt's place in it is not clear" };
  const isPlace = (path) => places.some((place) => samePath(place, path));
  const shape = new Set();
  const ids = new Map();
  const address = new URL(url);
  let holdsSecret = holdsSecretIn(address);
  let isLogin = [...address.searchParams.keys()].some((name) => isCredential([name]));
  const prompts = new Set();
  const survey = (path, value) => {
    shape.add(`${path.map((step) => (typeof step === "number" ? "[]" : step)).join("/")}:${isPlace(path) ? "prompt" : typeof value}`);
    if (isCredential(path)) isLogin = true;
    if (isPlace(path)) {
      prompts.add(value);
      // The content of the prompt is not examined.
      return { slot: "prompt" };
    }
    if (isSecret(path, value)) holdsSecret = true;
    if (UUID.test(value)) ids.set(value, (ids.get(value) ?? true) && isPerSend(path, places));
    return undefined;
  };
  if (splitBody(body, type, survey) === null) return { fault: "its body cannot be parsed" };
  if (isLogin) return { fault: "it contains a password or another login field" };
  const isFresh = (id) => ids.get(id) && !`${url} ${page ?? ""}`.includes(id);
  const repeated = places.length > 1 && [...prompts].some((prompt) => String(prompt).length < REPEATED_CHARS_MIN);
  if (prompts.size === 0 || repeated || [...prompts].some((prompt) => typeof prompt !== "string")) return { fault: "the prompt's place in it is not clear" };
  const pieces = splitBody(body, type, (path, value) => {
    if (isPlace(path)) return { slot: "prompt" };
    if (isFresh(value)) return { slot: "id", of: value };
    const clock = clockOf(value, now);
    return clock === null ? undefined : { slot: "now", clock };
  });
  const length = pieces.reduce((sum, piece) => sum + (typeof piece === "string" ? piece.length : 0), 0);
  if (length > BODY_CHARS_MAX) return { fault: "it is too long" };
  const query = [...new Set(address.searchParams.keys())].sort();
  const signature = [address.origin, endpoint(method, url), ...query, ...[...shape].sort()].join("\n").slice(0, SHAPE_CHARS_MAX);
  return { template: { method, url, headers: headersOf(headers), body: pieces, shape: signature, holds_secret: holdsSecret, learned_at: now } };
}

/**
 * Returns the request for a prompt.
 * @param {object} template
 * @param {string} prompt
 * @param {{now: number, uuid: () => string}} fresh
 */
export function fillTemplate(template, prompt, { now, uuid }) {
  const ids = new Map();
  const id = (of) => {
    if (!ids.has(of)) ids.set(of, uuid());
    return ids.get(of);
  };
  const body = joinBody(template.body, ({ slot, of, clock }) => {
    if (slot === "prompt") return prompt.toWellFormed();
    return slot === "id" ? id(of) : CLOCKS[clock](now);
  });
  const headers = Object.fromEntries(Object.entries(template.headers).map(([name, value]) => [name, value ?? uuid()]));
  return { method: template.method, url: template.url, headers, body };
}

/** Whether a stored value is a template. */
export function isTemplate(value) {
  const isSlot = (piece) =>
    Array.isArray(piece?.coding) &&
    piece.coding.every((each) => each === "json" || each === "form") &&
    (piece.slot === "prompt" || (piece.slot === "id" && typeof piece.of === "string") || (piece.slot === "now" && Object.hasOwn(CLOCKS, piece.clock)));
  return (
    typeof value === "object" &&
    value !== null &&
    ["method", "url", "shape"].every((name) => typeof value[name] === "string") &&
    typeof value.headers === "object" &&
    value.headers !== null &&
    Array.isArray(value.body) &&
    value.body.every((piece) => typeof piece === "string" || isSlot(piece)) &&
    value.body.some((piece) => piece.slot === "prompt") &&
    Number.isFinite(value.learned_at)
  );
}
