import assert from "node:assert/strict";
import { test } from "node:test";
import { forget, note, plotted, series, STEP_MS, totals, WINDOW_MS } from "../assets/series.js";

const NOW = 1_000 * STEP_MS + 1;
const ended = (id, took, more) => ({ request_id: id, requested_at: NOW - took, finished_at: NOW, outcome: "success", ...more });

test("each end counts once, however often it is reported", () => {
  const of = series();
  note(of, ended("a", 1_000));
  note(of, ended("a", 1_000));
  note(of, ended("b", 1_000, { outcome: "failure" }));
  assert.deepEqual(totals(of, NOW).ended, 2);
  assert.deepEqual(totals(of, NOW).failed, 1);
});

test("durations are shown within a tenth, cancelled ones not at all", () => {
  const of = series();
  for (let index = 1; index <= 100; index += 1) note(of, ended(`r${index}`, index * 100));
  note(of, ended("c", 900_000, { outcome: "cancelled" }));
  const { median, most } = totals(of, NOW);
  assert.ok(Math.abs(median - 5_000) < 500 && Math.abs(most - 9_500) < 950, `${median} ${most}`);
  assert.equal(totals(series(), NOW).median, null);
});

test("a plot covers the window, the last step at its end, and gaps where nothing ended", () => {
  const of = series();
  note(of, ended("a", 200));
  note(of, { ...ended("b", 200), finished_at: NOW - WINDOW_MS + STEP_MS, requested_at: NOW - WINDOW_MS });
  const { times, ended: rows, median } = plotted(of, NOW);
  assert.deepEqual([times.length, rows.length, median.length], [60, 60, 60]);
  assert.deepEqual([rows[0], rows[1], rows[59]], [4, 0, 4]);
  assert.ok(median[59] > 180 && median[59] < 220 && median[1] === null);
  assert.equal(times[59] - times[0], (WINDOW_MS - STEP_MS) / 1_000);
});

test("what left the window is let go, and what is remembered is bounded", () => {
  const of = series();
  for (let index = 0; index < 6_000; index += 1) note(of, ended(`r${index}`, 10));
  assert.equal(of.seen.size, 5_000);
  assert.equal(of.steps.values().next().value.bins.size, 1);
  forget(of, NOW + WINDOW_MS);
  assert.equal(of.steps.size, 1);
  forget(of, NOW + WINDOW_MS + 2 * STEP_MS);
  assert.equal(of.steps.size, 0);
});
