/** The page's elements. Whatever comes from elsewhere is put in as text, never as markup, and with nothing hidden. */
import { guarded } from "./words.js";

export const at = (id) => document.getElementById(id);

/** Sets text only where it differs, so that a screen reader hears only what is new. */
export function say(element, text) {
  const shown = guarded(text);
  if (element.textContent !== shown) element.textContent = shown;
}

const inLines = new WeakMap();

/** Shows a text line by line, each in an element of its own: what is wrapped has no number, so that it passes for no line. */
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

/** How an element looks, by the weight of what it says. */
export function weigh(element, level) {
  if (element.dataset.level !== level) element.dataset.level = level;
}

/** The part of an element that holds this. */
export const partOf = (element, name) => element.querySelector(`[data-of="${name}"]`);

/** A new element of this template. */
export const made = (template) => at(template).content.firstElementChild.cloneNode(true);

/** Fills the parts of an element with the texts of the same names. */
export function fill(element, view, names) {
  for (const name of names) say(partOf(element, name), view[name] ?? "");
}

/** Where the focus goes when what had it is no more: the heading of its section, or the top. */
function nextTo(parent) {
  const heading = parent.closest("section")?.querySelector("h2[tabindex]");
  return heading?.checkVisibility() ? heading : at("headline");
}

const kept = new WeakMap();

/**
 * Makes the children of `parent` those of `views`, in this order. A child is known by its view's `key` and stays the same
 * element, with its focus and what is typed into it. `make(view)`: a new one; `update(element, view)`.
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
