/** Which request headers are replayed or may be set by callers, and which response headers are passed on. Pure. */

/** Headers that only the browser may set, or that would reveal where a request comes from. */
const FORBIDDEN =
  /^(accept-charset|accept-encoding|access-control-request-.*|connection|content-length|cookie2?|date|dnt|expect|host|keep-alive|origin|proxy-.*|referer|sec-.*|set-cookie|te|trailer|transfer-encoding|upgrade|user-agent|via|x-forwarded-.*|x-real-ip)$/i;

/** Headers by which the platform's own page identifies itself or its login, the same in each request. */
const REPLAYED = /^(authorization|x-.+|.*(csrf|xsrf).*|anthropic-.+|oai-.+)$/i;

/** Headers of these that belong to a single request. */
const PER_REQUEST = /^(x-(datadog|b3|request-id|correlation-id|trace|amzn|upload|goog-upload|http-method).*|.*(sentinel|proof|turnstile|nonce).*)$/i;

/** Response headers that are passed on. */
const ANSWERED = /^(content-type|retry-after|retry-after-ms|x-request-id|x-ratelimit-.+|cf-mitigated)$/i;

/** Whether a caller may set this header. */
export const isSettable = (name) => /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) && !FORBIDDEN.test(name);

/** Whether a header of the page's own requests is added to proxied ones. */
export const isReplayed = (name) => REPLAYED.test(name) && !FORBIDDEN.test(name) && !PER_REQUEST.test(name);

/** Whether a header of the page's own request belongs to that request alone. */
export const isPerRequest = (name) => PER_REQUEST.test(name);

/** Returns the headers of a request; those of the caller replace captured ones. */
export function mergeHeaders(captured, given) {
  const merged = new Map();
  for (const [name, value] of [...Object.entries(captured), ...Object.entries(given)]) {
    if (isSettable(name) && typeof value === "string") merged.set(name.toLowerCase(), value);
  }
  return Object.fromEntries(merged);
}

/** Returns the response headers that are passed on. `content/page.js` selects them too, but runs in the page's world. */
export function responseHeaders(headers) {
  const isKept = ([name, value]) => ANSWERED.test(name) && typeof value === "string";
  return Object.fromEntries(Object.entries(headers ?? {}).filter(isKept));
}
