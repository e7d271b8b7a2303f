/** The operator's decisions: pairings, and the approval of instructions. */
import { at, fill, keyed, made, partOf, say, sayLines, show } from "./dom.js";
import { batchViews, pairedViews, pairingViews } from "./plans.js";
import { showPaired } from "./sections.js";

/** Clicks within this time after a card appeared under the pointer are ignored. */
const SETTLE_MS = 600;
const settled = new WeakMap();
const isSettled = (element) => performance.now() - settled.get(element) >= SETTLE_MS;

export function showPairings(state, now, { decide, forget }) {
  const all = state.pairings ?? [];
  const views = pairingViews(all, now);
  show(at("pairings"), views.length > 0);
  keyed(
    at("pairings-list"),
    views,
    ({ key }) => {
      const element = made("pairing");
      const code = element.querySelector("input");
      element.querySelector("form").addEventListener("submit", (event) => {
        event.preventDefault();
        // A copied code may contain the spaces that make it readable.
        decide(key, { decision: "approve", code: code.value.replaceAll(/\s/g, "") });
        code.select();
      });
      element.querySelector('[data-do="reject"]').addEventListener("click", () => decide(key, { decision: "reject" }));
      return element;
    },
    (element, view) => fill(element, view, ["client", "origin", "when"]),
  );
  showPaired(pairedViews(all, now), forget);
}

/** The digest of the plan that each card shows, which is the one to approve. */
const shown = new WeakMap();

export function showBatches(state, details, now, { approve, reject }) {
  const views = batchViews(state.batches ?? [], details, now);
  show(at("batches"), views.length > 0);
  keyed(
    at("batches-list"),
    views,
    ({ key }) => {
      const element = made("batch");
      settled.set(element, performance.now());
      // No form: Enter in the reason field must not approve.
      element.querySelector('[data-do="approve"]').addEventListener("click", () => {
        if (isSettled(element) && typeof shown.get(element) === "string") approve(key, shown.get(element));
      });
      element.querySelector('[data-do="reject"]').addEventListener("click", () => {
        if (isSettled(element)) reject(key, element.querySelector("input").value.trim());
      });
      return element;
    },
    showBatch,
  );
}

function showBatch(element, view) {
  fill(element, view, ["title", "from", "expires"]);
  show(partOf(element, "loading"), view.instructions === null);
  const yes = element.querySelector(".yes");
  yes.disabled = view.digest === null;
  if (shown.get(element) === view.digest) return;
  // A changed plan must be read before it can be approved.
  settled.set(element, performance.now());
  shown.set(element, view.digest);
  keyed(partOf(element, "instructions"), view.instructions ?? [], () => made("instruction"), (part, instruction) => {
    fill(part, instruction, ["title"]);
    sayLines(partOf(part, "raw"), instruction.raw);
    const rows = instruction.rows.map((row, index) => ({ ...row, key: `${index} ${row.name}` }));
    keyed(partOf(part, "rows"), rows, () => made("plan-row"), (line, row) => {
      say(partOf(line, "name"), row.name);
      sayLines(partOf(line, "text"), row.text);
      partOf(line, "text").setAttribute("aria-label", row.name);
    });
  });
}
