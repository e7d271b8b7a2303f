import assert from "node:assert/strict";
import { test } from "node:test";

import { extractorFor } from "../platforms/index.js";
import { cases, numbers, pieces, read } from "./support/fixtures.js";

const PLATFORMS = ["chatgpt", "claude", "gemini"];

test("only known platforms have a module", () => {
  for (const name of PLATFORMS) assert.equal(typeof extractorFor(name).extractor, "function");
  for (const name of ["", "mine", "constructor", "__proto__", undefined]) assert.equal(extractorFor(name), null);
});

for (const platform of PLATFORMS) {
  const module = extractorFor(platform);
  const all = cases(platform);

  test(`${platform}: there are cases of each outcome`, () => {
    for (const kind of ["message", "nothing", "drift"]) {
      assert.ok(all.some(({ outcome }) => Object.hasOwn(outcome, kind)), kind);
    }
  });

  test(`${platform}: the daemon reads the same text, or the same drift`, () => {
    for (const { name, outcome, daemon } of all) {
      assert.equal(typeof (daemon.text ?? daemon.drift), "string", name);
      assert.equal(daemon.drift, outcome.drift, name);
      if (outcome.message !== undefined) assert.equal(daemon.text, outcome.message.raw_text, name);
    }
  });

  for (const { name, request, response, complete, outcome } of all) {
    test(`${platform}: ${name}`, () => {
      assert.equal(module.watches(request), true);
      assert.deepEqual(read(module, request, [response], complete), outcome);
    });

    test(`${platform}: ${name}, cut anywhere`, () => {
      for (let at = 0; at <= response.length; at += 1) {
        const cut = [response.slice(0, at), "", response.slice(at)];
        assert.deepEqual(read(module, request, cut, complete), outcome, `cut at ${at}`);
      }
      assert.deepEqual(read(module, request, response.split(""), complete), outcome, "cut everywhere");
      const next = numbers(response.length);
      for (let round = 0; round < 50; round += 1) {
        const random = pieces(response, next, 1 + round * 4);
        assert.deepEqual(read(module, request, random, complete), outcome, `round ${round}`);
      }
    });

    test(`${platform}: ${name}, aborted anywhere, is complete or nothing`, () => {
      if (outcome.drift !== undefined) return;
      for (let at = 0; at < response.length; at += 1) {
        const found = read(module, request, [response.slice(0, at)], false);
        assert.equal(found.drift, undefined, `lost at ${at}`);
        if (found.message !== undefined) {
          assert.equal(found.message.raw_text, outcome.message?.raw_text, `lost at ${at}`);
        }
      }
    });
  }

  test(`${platform}: an answer is given once`, () => {
    const { request, response, outcome } = all.find((one) => one.outcome.message !== undefined && one.complete);
    const extractor = module.extractor(request);
    extractor.push(response);
    assert.deepEqual(extractor.end(true), outcome);
    extractor.push(response);
    assert.deepEqual(extractor.end(true), { nothing: "ended" });
  });

  test(`${platform}: an empty answer is nothing`, () => {
    const { request } = all[0];
    for (const complete of [true, false]) {
      assert.ok(read(module, request, [], complete).nothing);
      assert.ok(read(module, request, [""], complete).nothing);
    }
  });

  test(`${platform}: other requests are not watched`, () => {
    const { method, url } = all[0].request;
    assert.equal(module.watches({ method: "GET", url }), false);
    assert.equal(module.watches({ method, url: url.replace("?", "x?").replace(/$/, "s") }), false);
    assert.equal(module.watches({ method, url: "/other" }), false);
    assert.equal(module.watches({ method, url: "http://[" }), false);
    assert.equal(module.watches({ method: "post", url: new URL(url).pathname }), true);
  });

  test(`${platform}: garbage never throws`, () => {
    const next = numbers(7);
    for (let round = 0; round < 300; round += 1) {
      const { request, response } = all[Math.floor(next() * all.length)];
      const at = Math.floor(next() * response.length);
      const length = Math.floor(next() * 40);
      const other = all[Math.floor(next() * all.length)].response;
      const spoiled = response.slice(0, at) + other.slice(at, at + length) + response.slice(at + length);
      const found = read(module, request, pieces(spoiled, next, 200), next() < 0.5);
      assert.equal(Object.keys(found).length, 1);
      assert.notEqual(found.drift, "reader_failed", spoiled);
    }
  });
}
