import assert from "node:assert/strict";
import test from "node:test";
import { Panel } from "../background/panel.js";
import { FakePort, settled } from "./support/fakes.js";

test("a button reports success only if the action succeeded, and the log has the reason", async () => {
  const log = [];
  const results = [{ ok: true, platform: "claude" }, { ok: false, platform: "app", skipped: "not_ready" }];
  const panel = new Panel({
    shells: { names: [] },
    tabs: { open: async () => results[1], reload: async () => results[0], restore: async () => results },
    link: {},
    pairing: { since: () => null, confirmedSince: () => null },
    messages: { waiting: 0 },
    observer: { drift: [] },
    logbook: { lines: [], add: (level, message) => log.push(message) },
    proxy: {},
    system: { state: null },
    clientId: () => "firefox-1",
  });
  const port = new FakePort(1);
  panel.connected(port);
  for (const ask of ["tab_open", "tab_reload", "tab_restore"]) {
    port.onMessage.fire({ ask, platform: "app" });
    await settled();
    await settled();
  }
  assert.deepEqual(port.sent.filter(({ done }) => done).map(({ done, ok }) => [done, ok]), [["tab_open", false], ["tab_reload", true], ["tab_restore", false]]);
  assert.deepEqual(log, ["tab_open of app failed: not_ready.", "tab_restore of app failed: not_ready."]);
});
