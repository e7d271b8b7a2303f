import assert from "node:assert/strict";
import { test } from "node:test";
import { EVERYTHING, Loader } from "../assets/load.js";
import { start } from "../assets/state.js";
import { browser, NOW, status } from "./support.js";

const ok = (data, date = NOW) => ({ ok: true, status: 200, data, date });
const no = (code, details = {}) => ({ ok: false, status: code, error: "x", message: "No.", details, date: NOW });
const noRoute = no(404, { resource: "route" });

/** A daemon that answers from a table, by path without its query; anything else it has no route for. */
function daemon(answers) {
  const asked = [];
  const get = async (path) => {
    asked.push(path);
    return answers[path.split("?")[0]] ?? noRoute;
  };
  return { get, asked };
}

const OPEN = {
  "/v1/status": ok(status()),
  "/v1/system/state": ok({ mode: "running" }),
  "/v1/browser": ok(browser()),
  "/v1/browser/requests": ok({ requests: [] }),
};
const batch = (digest) => ({ batch_id: "b/1", digest });

async function loaded(answers, state = start(), parts = EVERYTHING) {
  const api = daemon({ ...OPEN, ...answers });
  const loader = new Loader(api, state);
  await loader.load(parts, NOW);
  return { state, api, loader };
}

test("a page that is logged in sees pairings and batches, each batch read once", async () => {
  const answers = { "/v1/instructions": ok({ batches: [batch("d1")] }), "/v1/instructions/b%2F1": ok({ digest: "d1", instructions: [] }), "/v1/browser/pairings": ok({ pairings: [{ client_id: "a" }] }) };
  const { state, api, loader } = await loaded(answers);
  assert.deepEqual([state.access, state.batches.length, state.pairings.length, loader.details.get("b/1").digest], ["all", 1, 1, "d1"]);
  await loader.load(["batches"], NOW);
  const reads = () => api.asked.filter((path) => path === "/v1/instructions/b%2F1").length;
  assert.equal(reads(), 1);
  answers["/v1/instructions"].data.batches = [batch("d2")];
  await loader.load(["batches"], NOW);
  assert.equal(reads(), 2, "another digest is another plan");
  answers["/v1/instructions"].data.batches = [];
  await loader.load(["batches"], NOW);
  assert.equal(loader.details.size, 0);
});

test("a page that is not logged in says so, and asks for what it may not see with everything else alone", async () => {
  const { state, api, loader } = await loaded({ "/v1/instructions": no(401), "/v1/browser/pairings": no(401) });
  assert.deepEqual([state.access, state.batches, state.pairings], ["local", null, null]);
  const before = api.asked.length;
  await loader.load(["batches", "pairings"], NOW);
  assert.equal(api.asked.length, before);
});

test("a daemon without these routes is asked for another that takes the token", async () => {
  const known = await loaded({ "/v1/browser/messages": ok({ messages: [] }) });
  assert.deepEqual([known.state.access, known.state.batches, known.state.pairings], ["all", null, null]);
  const unknown = await loaded({ "/v1/browser/messages": no(401) });
  assert.equal(unknown.state.access, "local");
});

test("where every caller needs the token, nothing more is asked, and a login changes that", async () => {
  const { state, api, loader } = await loaded({ "/v1/status": no(401), "/v1/browser": no(401) });
  assert.equal(state.access, "none");
  assert.ok(!api.asked.some((path) => path.startsWith("/v1/instructions")));
  api.get = daemon({ ...OPEN, "/v1/instructions": ok({ batches: [] }) }).get;
  await loader.load(EVERYTHING, NOW);
  assert.equal(state.access, "all");
});

test("a daemon that does not answer is shown, and so is its return", async () => {
  const { state, api, loader } = await loaded({ "/v1/status": no(0), "/v1/browser": no(0) });
  assert.equal(state.reachable, false);
  api.get = daemon(OPEN).get;
  await loader.load(EVERYTHING, NOW);
  assert.equal(state.reachable, true);
});

test("on the listener that has only the numbers the page says where the whole is", async () => {
  const { state } = await loaded({ "/v1/browser": noRoute, "/describe": ok({ origin: "http://127.0.0.1:4317" }) });
  assert.equal(state.elsewhere, "http://127.0.0.1:4317/v1/status/ui");
});

test("a daemon's clock that is well off is reckoned with", async () => {
  const near = await loaded({ "/v1/status": ok(status(), NOW + 1_500) });
  const far = await loaded({ "/v1/status": ok(status(), NOW - 90_000) });
  const silent = await loaded({ "/v1/status": ok(status(), NaN) });
  assert.deepEqual([near.state.skew, far.state.skew, silent.state.skew], [0, -90_000, 0]);
});

test("the journal is read further back the first time, as the plots need it", async () => {
  const { api, loader } = await loaded({});
  await loader.load(["requests"], NOW);
  const limits = api.asked.filter((path) => path.startsWith("/v1/browser/requests")).map((path) => path.split("=")[1]);
  assert.deepEqual(limits, ["500", "200"]);
});
