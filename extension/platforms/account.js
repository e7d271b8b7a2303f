/**
 * Reads the account in an answer to the page. Only named fields are read, and only an e-mail address or a short id is
 * returned, so that no token can be taken for an account.
 */
import { isObject, parsed } from "./outcome.js";

const EMAIL = /[A-Za-z0-9._%+'-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+/;
const EMAIL_KEYS = ["email_address", "email", "emailAddress"];
const ID_KEYS = ["uuid", "id", "account_uuid", "user_id", "organization_uuid"];
const DEFAULT_KEYS = ["is_default", "default", "selected", "active"];

/** Whether this is a successful GET request. */
export function isSuccess({ method, status }) {
  return String(method).toUpperCase() === "GET" && status >= 200 && status < 300;
}

/**
 * Returns the first account in a JSON body.
 * @param {unknown} body the text, or its value
 * @param {string[]} under keys that may contain the account
 * @returns {string | null} an e-mail address if there is one, else an id
 */
export function firstAccount(body, under) {
  const value = typeof body === "string" ? parsed(body) : body;
  const places = placesIn(value, under, 3);
  return firstOf(places, emailOf) ?? firstOf(places, idOf);
}

function placesIn(value, under, depth) {
  if (Array.isArray(value)) {
    const objects = value.slice(0, 50).filter(isObject);
    const chosen = objects.find((one) => DEFAULT_KEYS.some((key) => one[key] === true)) ?? objects[0];
    return chosen === undefined ? [] : [chosen];
  }
  if (!isObject(value) || depth === 0) return [];
  const inner = under.filter((key) => Object.hasOwn(value, key));
  return [...inner.flatMap((key) => placesIn(value[key], under, depth - 1)), value];
}

function firstOf(places, read) {
  for (const place of places) {
    const found = read(place);
    if (found !== null) return found;
  }
  return null;
}

/** Returns an e-mail address in its own field, or one within the name of a personal organization. */
function emailOf(place) {
  for (const key of EMAIL_KEYS) {
    const value = place[key];
    if (typeof value === "string" && EMAIL.exec(value)?.[0] === value) return value;
  }
  const name = typeof place.name === "string" && place.name.length <= 300 ? place.name : "";
  return EMAIL.exec(name)?.[0] ?? null;
}

function idOf(place) {
  for (const key of ID_KEYS) {
    const value = place[key];
    if (typeof value === "string" && /^[A-Za-z0-9_:|-]{1,64}$/.test(value)) return value;
  }
  return null;
}
