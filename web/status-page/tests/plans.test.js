import assert from "node:assert/strict";
import { test } from "node:test";
import { batchView, batchViews, pairedViews, pairingViews } from "../assets/plans.js";
import { NOW } from "./support.js";

const batch = (id, more) => ({ batch_id: id, status: "pending_approval", origin: "live", platform: "claude", conversation_id: "c-1", client_id: "ff", created_at: NOW - 60_000, expires_at: NOW + 3_600_000, digest: "d", ...more });
const instruction = (more) => ({ instruction_id: "i", target: "conductor", tool: "exec", params: "x", raw_block: "@conductor::exec::x", ...more });

test("a batch says whence it comes and until when it waits", () => {
  const view = batchView(batch("b"), undefined, NOW);
  assert.equal(view.from, "A model asked for this by itself 1 min ago: claude, conversation c-1, in ff");
  assert.match(batchView(batch("b", { reason: "an instruction needs approval" }), undefined, NOW).from, /; it waits because an instruction needs approval$/);
  assert.equal(view.expires, "Expires in 1 h.");
  assert.deepEqual([view.instructions, view.digest], [null, null], "nothing can be approved that is not shown");
});

test("what would run is shown whole, every part of the plan by its name", () => {
  const plan = { operation: "exec", input: { command: "ls\nrm -r x", cwd: null, env: {}, args: ["a", 1], deep: { er: true } } };
  const { digest, instructions: [shown] } = batchView(batch("b"), { digest: "d2", instructions: [instruction({ plan })] }, NOW);
  assert.equal(digest, "d2");
  assert.equal(shown.title, "1. conductor::exec");
  assert.deepEqual(shown.rows, [
    { name: "operation", text: "exec" },
    { name: "command", text: "ls\nrm -r x" },
    { name: "args", text: '[\n  "a",\n  1\n]' },
    { name: "deep.er", text: "true" },
  ]);
});

test("a plan of another form is shown whole as well, and what ran before is named", () => {
  const shown = (plan, duplicates) => batchView(batch("b"), { digest: "d", duplicates, instructions: [instruction({ plan, block_index: 3 })] }, NOW).instructions[0];
  const names = (plan) => shown(plan).rows.map(({ name, text }) => `${name}=${text}`);
  assert.deepEqual(names({ operation: "exec", input: { command: "x" }, sandbox: "off" }), ["operation=exec", "input.command=x", "sandbox=off"]);
  assert.deepEqual(names({ route: { path: "/v1/exec" }, list: [] }), ["route.path=/v1/exec", "list=[]"]);
  assert.match(shown({}, [{ instruction_id: "i", block_index: 3 }]).title, /does not run again$/);
  assert.equal(shown({}, [{ instruction_id: "i", block_index: 2 }]).title, "1. conductor::exec");
});

test("what confines it is shown with what would run", () => {
  const last = (more) => batchView(batch("b"), { digest: "d", instructions: [instruction(more)] }, NOW).instructions[0].rows.at(-1);
  assert.deepEqual(last({ sandbox: "landlock" }), { name: "runs in", text: "landlock" });
  assert.deepEqual(last({ sandbox: "off" }), { name: "runs in", text: "no sandbox" });
  assert.deepEqual(last({ params: "y" }), { name: "params", text: "y" }, "what does not reach the machine runs in none");
});

test("a plan may be a text, and without one the parameters are shown", () => {
  const rowsOf = (more) => batchView(batch("b"), { digest: "d", instructions: [instruction(more)] }, NOW).instructions[0].rows;
  assert.deepEqual(rowsOf({ plan: "GET /describe" }), [{ name: "plan", text: "GET /describe" }]);
  assert.deepEqual(rowsOf({}), [{ name: "params", text: "x" }]);
  assert.deepEqual(rowsOf({ params: null }), []);
});

test("nothing in what would run is hidden from who decides", () => {
  const hostile = "ls \u202e# \u200b\u00a0\r";
  const { instructions: [shown] } = batchView(batch("b"), { digest: "d", instructions: [instruction({ plan: { [hostile]: hostile }, target: hostile, raw_block: hostile })] }, NOW);
  const safe = "ls \\u{202e}# \\u{200b}\\u{a0}\\r";
  assert.deepEqual([shown.rows[0], shown.raw, shown.title], [{ name: safe, text: safe }, safe, `1. ${safe}::exec`]);
});

test("the oldest batch stands first, so that a new one moves nothing that is read", () => {
  const views = batchViews([batch("new", { created_at: NOW }), batch("old", { created_at: 1 })], new Map(), NOW);
  assert.deepEqual(views.map(({ key }) => key), ["old", "new"]);
});

test("who waits for pairing is told from who is paired, and an old wish is none", () => {
  const all = [
    { client_id: "a", status: "waiting", origin: "moz-extension://x", requested_at: NOW - 10_000, expires_at: NOW + 290_000 },
    { client_id: "b", status: "waiting", requested_at: NOW - 400_000, expires_at: NOW - 1 },
    { client_id: "c", status: "paired", approved_at: NOW - 86_400_000 },
  ];
  assert.deepEqual(pairingViews(all, NOW), [{ key: "a", client: "a", origin: "moz-extension://x", when: "Requested 10 s ago, expires in 4 min." }]);
  assert.deepEqual(pairedViews(all, NOW), [{ key: "c", client: "c", when: "paired 1 d ago" }]);
});
