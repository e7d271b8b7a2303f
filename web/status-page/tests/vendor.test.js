import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const own = (name) => readFileSync(new URL(`../assets/${name}`, import.meta.url));
const published = (name) => readFileSync(new URL(`../node_modules/uplot/${name}`, import.meta.url));

test("the library is what its authors published, in the version of the lock", () => {
  for (const [name, from] of [["uplot.js", "dist/uPlot.iife.min.js"], ["uplot.css", "dist/uPlot.min.css"], ["uplot-license.txt", "LICENSE"]]) {
    assert.ok(own(name).equals(published(from)), name);
  }
});
