import assert from "node:assert/strict";
import test from "node:test";
import { registerScripts } from "../background/permissions.js";
import { CLAUDE, LOCAL } from "./support/fakes.js";

function fakeScripting() {
  const calls = [];
  let scripts = [];
  return {
    calls,
    ids: () => scripts.map(({ id }) => id),
    runtime: { getManifest: () => ({ content_scripts: [{ matches: ["https://claude.ai/*"] }] }) },
    scripting: {
      getRegisteredContentScripts: async () => scripts,
      registerContentScripts: async (more) => {
        for (const { id } of more) assert.ok(!scripts.some((script) => script.id === id), "an id is used once");
        calls.push("register");
        scripts = [...scripts, ...more];
      },
      unregisterContentScripts: async ({ ids }) => {
        calls.push("unregister");
        scripts = scripts.filter(({ id }) => !ids.includes(id));
      },
    },
  };
}

test("scripts are registered once, and new ones before old ones are removed", async () => {
  const browser = fakeScripting();
  assert.deepEqual(await registerScripts(browser, [CLAUDE]), []);
  assert.deepEqual(await registerScripts(browser, [CLAUDE, LOCAL]), ["http://127.0.0.1/*"]);
  assert.deepEqual(await registerScripts(browser, [CLAUDE, LOCAL]), []);
  assert.deepEqual(browser.calls, ["register"]);
  const own = { ...LOCAL, platform: "own", shell_url: "http://localhost/", hosts: ["localhost"] };
  assert.deepEqual(await registerScripts(browser, [LOCAL, own]), ["http://localhost/*"]);
  assert.deepEqual([browser.calls, browser.ids().length], [["register", "register", "unregister"], 2]);
  await registerScripts(browser, [CLAUDE]);
  assert.deepEqual([browser.calls.at(-1), browser.ids()], ["unregister", []]);
});
