import assert from "node:assert/strict";
import test from "node:test";
import { makeTemplate } from "../background/template.js";
import { Templates, TEMPLATES_MAX } from "../background/templates.js";
import { fakeStorage, settled } from "./support/fakes.js";
import { gemini, notes, NOTES, NOW } from "./support/sends.js";

const template = (more, send = notes(more)) => makeTemplate(send, [["question"]], NOW).template;

async function make(storage = fakeStorage()) {
  const told = [];
  const world = { account: undefined, platform: NOTES, at: NOW };
  const templates = new Templates({
    storage,
    now: () => world.at,
    uuid: () => "u",
    platform: (name) => (name === "notes" ? world.platform : { ...NOTES, platform: name }),
    account: () => world.account,
    changed: (name) => told.push(name),
    log: () => {},
  });
  await templates.start();
  return { templates, storage, told, world };
}

const filledModel = (templates) => JSON.parse(templates.fill("notes", "x").request.body).model;

test("a learned template is usable, reported, and restored after a restart", async () => {
  const { templates, storage, told } = await make();
  assert.deepEqual([templates.usable("notes"), templates.fill("notes", "x"), templates.summary("notes")], [false, null, null]);
  templates.learned("notes", template());
  assert.deepEqual([templates.usable("notes"), told], [true, ["notes"]]);
  assert.deepEqual(JSON.parse(templates.fill("notes", "Hello").request.body), { question: "Hello", model: "small" });
  await settled();
  const again = await make(storage);
  assert.equal(again.templates.usable("notes"), true);
  assert.deepEqual(again.templates.summary("notes"), { learned_at: NOW, accepted_at: undefined, stale: undefined, in_memory: false, usable: true });
});

test("a template with a secret is never stored", async () => {
  const { templates, storage } = await make();
  templates.learned("notes", template({ csrf_token: "abcdefghijklmnop" }));
  await settled();
  assert.deepEqual([templates.usable("notes"), templates.summary("notes").in_memory], [true, true]);
  assert.deepEqual(storage.data.templates, {});
  assert.equal((await make(storage)).templates.usable("notes"), false);
  const ofGemini = makeTemplate(gemini(), [["f.req", 1, 0, 0]], NOW).template;
  templates.learned("gemini", ofGemini);
  await settled();
  assert.ok(!JSON.stringify(storage.data).includes("AJvLN6M"));
});

test("a template of another shape replaces a usable one, one of the same shape does not", async () => {
  const { templates, world, told } = await make();
  templates.learned("notes", template({ model: "first" }));
  const { template: used } = templates.fill("notes", "x");
  templates.accepted("notes", used);
  world.at += 1;
  templates.learned("notes", template({ model: "second" }));
  assert.deepEqual([filledModel(templates), templates.summary("notes").accepted_at, templates.isAccepted("notes")], ["first", NOW, true]);
  templates.learned("notes", template({ model: "third", more: 1 }));
  assert.deepEqual([filledModel(templates), templates.summary("notes").accepted_at, templates.isAccepted("notes")], ["third", undefined, false]);
  // The result of the replaced template does not concern the new one.
  templates.refused("notes", used, 403);
  templates.accepted("notes", used);
  assert.deepEqual([templates.usable("notes"), templates.summary("notes").accepted_at, told.length], [true, undefined, 3]);
});

test("a refused template is stale, also after a restart, until the next send", async () => {
  const { templates, storage, told } = await make();
  templates.learned("notes", template({ model: "first" }));
  templates.refused("notes", templates.fill("notes", "x").template, 403);
  assert.deepEqual([templates.usable("notes"), templates.fill("notes", "x"), told.length], [false, null, 2]);
  assert.deepEqual(templates.summary("notes").stale, { status: 403, at: NOW });
  await settled();
  const { templates: again } = await make(storage);
  assert.deepEqual([again.usable("notes"), again.summary("notes").stale.status], [false, 403]);
  again.learned("notes", template({ model: "second" }));
  assert.deepEqual([again.usable("notes"), filledModel(again), again.summary("notes").stale], [true, "second", undefined]);
});

test("a forgotten template is removed everywhere", async () => {
  const { templates, storage, told } = await make();
  templates.learned("notes", template());
  await templates.forget("notes");
  await templates.forget("notes");
  assert.deepEqual([templates.usable("notes"), templates.summary("notes"), storage.data.templates, told.length], [false, null, {}, 2]);
});

test("a template of another account, address or mode is not used", async () => {
  const { templates, world } = await make();
  world.account = "me";
  templates.learned("notes", template({ model: "first" }));
  world.account = undefined;
  assert.equal(templates.usable("notes"), true);
  world.account = "you";
  assert.deepEqual([templates.usable("notes"), templates.summary("notes").usable], [false, false]);
  templates.learned("notes", template({ model: "second" }));
  assert.equal(filledModel(templates), "second");
  for (const more of [{ prompt: "" }, { hosts: ["other.example"] }, { shell_url: "https://notes.example:8443/" }, { hosts: ["notes.example", "new.example"], shell_url: "https://new.example/" }]) {
    world.platform = { ...NOTES, ...more };
    assert.deepEqual([templates.usable("notes"), templates.fill("notes", "x")], [false, null], JSON.stringify(more));
  }
  world.platform = undefined;
  assert.equal(templates.usable("notes"), false);
});

test("a template of an outdated address is replaced by the next send", async () => {
  const { templates, world } = await make();
  templates.learned("notes", template({ model: "old" }));
  const hosts = ["notes.example", "new.example"];
  world.platform = { ...NOTES, hosts, shell_url: "https://new.example/" };
  templates.learned("notes", template({ model: "new" }, { ...notes({ model: "new" }), url: "https://new.example/api/ask" }));
  assert.deepEqual([templates.usable("notes"), filledModel(templates)], [true, "new"]);
  // It has the same shape as a template that cannot be used.
  world.platform = { ...NOTES, prompt: "" };
  templates.learned("notes", template({ model: "first" }));
  templates.learned("notes", template({ model: "second" }));
  world.platform = NOTES;
  assert.equal(filledModel(templates), "second");
});

test("the number of templates is limited, and invalid stored ones are ignored", async () => {
  const { templates } = await make();
  for (let i = 0; i <= TEMPLATES_MAX; i += 1) templates.learned(`p${i}`, template());
  assert.deepEqual([templates.summary("p0"), templates.summary("p1") === null], [null, false]);
  const broken = await make(fakeStorage({ templates: { notes: { method: "POST" }, other: null } }));
  assert.equal(broken.templates.summary("notes"), null);
});
