/** Access to the page's elements. Foreign text is inserted as text, never as markup, with hidden characters escaped. */
import { guarded } from "./words.js";

export const at = (id) => document.getElementById(id);

/** Sets text only if it differs, so that screen readers announce only changes. */
export function say(element, text) {
  const shown = guarded(text);
  if (element.textContent !== shown) element.textContent = shown;
}

const inLines = new WeakMap();

/**
 * Shows a text line by line, each in an element of its own: a wrapped line has no number, so it does not pass for a new
 * one.
 */
export function sayLines(element, text) {
  const shown = guarded(text);
  if (inLines.get(element) === shown) return;
  inLines.set(element, shown);
  const made = shown.split("\n").map((one) => {
    const line = document.createElement("span");
    line.className = "line";
    line.textContent = one;
    return line;
  });
  element.replaceChildren(...made);
}

/** Hides or shows. */
export function show(element, isShown) {
  if (element.hidden === isShown) element.hidden = !isShown;
}

/** Sets the style of an element by the severity of its content. */
export function weigh(element, level) {
  if (element.dataset.level !== level) element.dataset.level = level;
}

/** Returns the part of an element with this name. */
export const partOf = (element, name) => element.querySelector(`[data-of="${name}"]`);

/** Creates an element from a template. */
export const made = (template) => at(template).content.firstElementChild.cloneNode(true);

/** Fills the parts of an element with the texts of the same names. */
export function fill(element, view, names) {
  for (const name of names) say(partOf(element, name), view[name] ?? "");
}

/** Moves the focus when its element disappears: to the heading of its section, or to the top. */
function nextTo(parent) {
  const heading = parent.closest("section")?.querySelector("h2[tabindex]");
  return heading?.checkVisibility() ? heading : at("headline");
}

const kept = new WeakMap();

/**
 * Makes the children of `parent` those of `views`, in this order. A child is identified by its view's `key` and keeps
 * its element, with focus and input. `make(view)` creates one; `update(element, view)` updates it.
 */
export function keyed(parent, views, make, update) {
  const before = kept.get(parent) ?? new Map();
  const after = new Map();
  for (const view of views) {
    const element = before.get(view.key) ?? make(view);
    after.set(view.key, element);
    update(element, view);
  }
  const focused = document.activeElement;
  let lost = false;
  for (const [key, element] of before) {
    if (after.get(key) === element) continue;
    lost ||= element.contains(focused);
    element.remove();
  }
  let cursor = parent.firstElementChild;
  for (const element of after.values()) {
    if (element === cursor) cursor = cursor.nextElementSibling;
    else parent.insertBefore(element, cursor);
  }
  kept.set(parent, after);
  if (lost) nextTo(parent).focus({ preventScroll: true });
  else if (focused !== document.activeElement && focused?.isConnected) focused.focus({ preventScroll: true });
}
