/** Which headers of a request are replayed, passed on, or neither, and which of an answer may leave. Pure. */

/** Names that only the browser may set, or that would say where a request comes from. */
const FORBIDDEN =
  /^(accept-charset|accept-encoding|access-control-request-.*|connection|content-length|cookie2?|date|dnt|expect|host|keep-alive|origin|proxy-.*|referer|sec-.*|set-cookie|te|trailer|transfer-encoding|upgrade|user-agent|via|x-forwarded-.*|x-real-ip)$/i;

/** What the platform's own client says about itself or its login, and says alike in each of its requests. */
const REPLAYED = /^(authorization|x-.+|.*(csrf|xsrf).*|anthropic-.+|oai-.+)$/i;

/** Of these, what belongs to one request alone. */
const PER_REQUEST = /^(x-(datadog|b3|request-id|correlation-id|trace|amzn|upload|goog-upload|http-method).*|.*(sentinel|proof|turnstile|nonce).*)$/i;

/** The headers of an answer that are passed on. */
const ANSWERED = /^(content-type|retry-after|retry-after-ms|x-request-id|x-ratelimit-.+|cf-mitigated)$/i;

/** Whether a caller may set this header. */
export const isSettable = (name) => /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) && !FORBIDDEN.test(name);

/** Whether a header of the page's own request is put on ours too. */
export const isReplayed = (name) => REPLAYED.test(name) && !FORBIDDEN.test(name) && !PER_REQUEST.test(name);

/** Whether a header of the page's own request serves that request alone. */
export const isPerRequest = (name) => PER_REQUEST.test(name);

/** The headers of a request: what was captured, and over it what the caller gave. */
export function mergeHeaders(captured, given) {
  const merged = new Map();
  for (const [name, value] of [...Object.entries(captured), ...Object.entries(given)]) {
    if (isSettable(name) && typeof value === "string") merged.set(name.toLowerCase(), value);
  }
  return Object.fromEntries(merged);
}

/** The headers of an answer that may leave. The page's half picks them too, but scripts of the page can bend its world. */
export function responseHeaders(headers) {
  const isKept = ([name, value]) => ANSWERED.test(name) && typeof value === "string";
  return Object.fromEntries(Object.entries(headers ?? {}).filter(isKept));
}
