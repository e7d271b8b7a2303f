/** The shared cases of the platforms' answers, and reproducible random numbers. */
import { readFileSync, readdirSync } from "node:fs";

const ROOT = new URL("../../../tests/fixtures/platforms/", import.meta.url);

/** Returns all cases of a platform: request, answer as text, whether it was complete, and what extension and daemon read of it. */
export function cases(platform) {
  const folder = new URL(`${platform}/`, ROOT);
  const text = (name) => readFileSync(new URL(name, folder), "utf8");
  const names = readdirSync(folder).filter((name) => name.endsWith(".request.json"));
  return names.map((file) => {
    const name = file.slice(0, -".request.json".length);
    const { method, url, body, page_url: pageUrl } = JSON.parse(text(file));
    const { complete, extension: outcome, daemon } = JSON.parse(text(`${name}.expected.json`));
    const request = { method, url, requestBody: body, pageUrl };
    return { name, request, response: text(`${name}.response.txt`), complete, outcome, daemon };
  });
}

/** Returns the outcome of reading these pieces. */
export function read(module, request, pieces, complete) {
  const extractor = module.extractor(request);
  for (const piece of pieces) extractor.push(piece);
  return extractor.end(complete);
}

/** Returns a generator of numbers in [0, 1) that depend on the seed only. */
export function numbers(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Splits the text into pieces of random lengths. */
export function pieces(text, next, longest) {
  const found = [];
  for (let at = 0; at < text.length; ) {
    const length = 1 + Math.floor(next() * longest);
    found.push(text.slice(at, at + length));
    at += length;
  }
  return found;
}
