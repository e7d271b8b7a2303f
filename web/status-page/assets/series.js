/**
 * Statistics of requests over the last minutes, in time steps: how many ended and how long they took. Pure.
 *
 * Bounded: durations are counted in bins that are a tenth apart, so a step takes the same space for ten requests and
 * for ten thousand.
 */

export const WINDOW_MS = 15 * 60_000;
export const STEP_MS = 15_000;
const STEPS = WINDOW_MS / STEP_MS;
/** Number of remembered ends, which keep a request from being counted again when the journal lists it. */
const SEEN_MAX = 5_000;
const BASE = Math.log(1.1);

const bin = (ms) => Math.round(Math.log1p(Math.max(0, ms)) / BASE);
const value = (index) => Math.expm1(index * BASE);

/** An empty series. */
export const series = () => ({ steps: new Map(), seen: new Map() });

/** Counts the end of a request, once. */
export function note(into, { request_id, requested_at, finished_at, outcome }) {
  const key = `${request_id} ${finished_at}`;
  if (into.seen.has(key)) return;
  into.seen.set(key, finished_at);
  if (into.seen.size > SEEN_MAX) into.seen.delete(into.seen.keys().next().value);
  const at = Math.floor(finished_at / STEP_MS) * STEP_MS;
  const step = into.steps.get(at) ?? { ended: 0, failed: 0, bins: new Map() };
  into.steps.set(at, step);
  step.ended += 1;
  if (outcome === "failure") step.failed += 1;
  if (outcome === "cancelled" || typeof requested_at !== "number") return;
  const index = bin(finished_at - requested_at);
  step.bins.set(index, (step.bins.get(index) ?? 0) + 1);
}

/** Removes steps that have left the window. */
export function forget(from, now) {
  for (const at of from.steps.keys()) if (at <= now - WINDOW_MS - STEP_MS) from.steps.delete(at);
}

/** Returns the duration that this share of the requests stays within; null without requests. */
function quantile(bins, share) {
  const sorted = [...bins].sort(([a], [b]) => a - b);
  const total = sorted.reduce((sum, [, number]) => sum + number, 0);
  let reached = 0;
  for (const [index, number] of sorted) {
    reached += number;
    if (reached >= share * total) return value(index);
  }
  return null;
}

/**
 * Returns the steps of the window that ends now: times in seconds, ends and failures per minute, median and 95th
 * percentile.
 */
export function plotted(from, now) {
  const last = Math.floor(now / STEP_MS) * STEP_MS;
  const rows = { times: [], ended: [], failed: [], median: [], most: [] };
  for (let index = STEPS - 1; index >= 0; index -= 1) {
    const at = last - index * STEP_MS;
    const step = from.steps.get(at);
    rows.times.push(at / 1_000);
    rows.ended.push((step?.ended ?? 0) * (60_000 / STEP_MS));
    rows.failed.push((step?.failed ?? 0) * (60_000 / STEP_MS));
    rows.median.push(step ? quantile(step.bins, 0.5) : null);
    rows.most.push(step ? quantile(step.bins, 0.95) : null);
  }
  return rows;
}

/** Returns the totals of the window: ends, failures, median and 95th percentile. */
export function totals(from, now) {
  const bins = new Map();
  let ended = 0;
  let failed = 0;
  for (const [at, step] of from.steps) {
    if (at <= now - WINDOW_MS) continue;
    ended += step.ended;
    failed += step.failed;
    for (const [index, number] of step.bins) bins.set(index, (bins.get(index) ?? 0) + number);
  }
  return { ended, failed, median: quantile(bins, 0.5), most: quantile(bins, 0.95) };
}
