/**
 * A login as a salted digest. The only place that reads credential values; it returns names and a digest.
 */
import { isReplayed } from "./headers.js";

/** Cookies that change without a login or logout. */
const NOISE =
  /^(_ga|_gid|_gat|_gcl|_fbp|_dd_|__cf|cf_|_cf|ajs_|intercom|amplitude|mp_|optimizely|NID$|AEC$|SOCS$|CONSENT$|.*SIDCC$|.*PSIDTS$|.*PSIDRTS$|activitySession|.*(csrf|consent|theme|locale|lang|device-id|did$))/i;

/** Names of cookies that are a login. */
const LOGIN = /(sess|auth|token|sid$|login|jwt|user|account|secret)/i;

const encoder = new TextEncoder();

async function digest(text) {
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", encoder.encode(text)));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Returns the cookies that make up a login, sorted: those named like a login, else all but noise. */
function loginCookies(header) {
  const cookies = header.split(/;\s*/).filter((pair) => pair.includes("=") && !NOISE.test(pair.split("=")[0]));
  const named = cookies.filter((pair) => LOGIN.test(pair.split("=")[0]));
  return (named.length > 0 ? named : cookies).sort();
}

/**
 * Reads the login of a page's own request.
 * @param {{name: string, value?: string}[]} headers as `webRequest` gives them
 * @param {string} salt random, of this installation
 * @returns {Promise<{names: string[], kind: "cookie" | "authorization", digest: string} | null>} null without a login
 */
export async function readLogin(headers, salt) {
  const names = new Set();
  let cookies = [];
  let authorization = "";
  for (const { name, value } of headers) {
    const lower = name.toLowerCase();
    if (lower === "cookie") {
      cookies = loginCookies(value ?? "");
      if (cookies.length > 0) names.add(lower);
    } else if (isReplayed(lower)) {
      names.add(lower);
      if (lower === "authorization") authorization = value ?? "";
    }
  }
  const kind = cookies.length > 0 ? "cookie" : "authorization";
  const login = kind === "cookie" ? cookies.join("; ") : authorization;
  if (login === "") return null;
  return { names: [...names].sort(), kind, digest: await digest(`${salt}\n${kind}\n${login}`) };
}
