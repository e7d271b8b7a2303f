import assert from "node:assert/strict";
import { test } from "node:test";
import { readFileSync } from "node:fs";
import { COMBINING, HIDDEN } from "../assets/characters.js";
import { ago, bytes, count, error, guarded, left, line, lines, plain, span, took } from "../assets/words.js";

test("spans are shown in the unit that fits", () => {
  const said = [0, 850, 999, 1_000, 41_999, 60_000, 3_599_999, 3_600_000, 7_500_000, 86_400_000 * 3].map(span);
  assert.deepEqual(said, ["0 ms", "850 ms", "999 ms", "1 s", "41 s", "1 min", "59 min", "1 h", "2 h 5 min", "3 d"]);
  assert.deepEqual([12, 1_240, 41_230, 185_000].map(took), ["12 ms", "1.24 s", "41.2 s", "3 min 5 s"]);
});

test("what is left is rounded up and what is over was just now", () => {
  assert.deepEqual([left(40_001, 0), left(1, 0), left(0, 5)], ["41 s", "1 s", "1 s"]);
  assert.deepEqual([ago(0, 4_999), ago(9_000, 0), ago(0, 5_000)], ["just now", "just now", "5 s ago"]);
});

test("numbers bend their nouns, errors and bytes are readable", () => {
  assert.deepEqual([count(1, "request"), count(2, "request"), count(0, "batch", "batches")], ["1 request", "2 requests", "0 batches"]);
  assert.deepEqual([error("http_429"), error("request_timeout"), error("http_x")], ["HTTP 429", "request timeout", "http x"]);
  assert.deepEqual([bytes(9), bytes(2_048), bytes(3 * 1_048_576)], ["9 B", "2.0 KiB", "3.0 MiB"]);
});

test("marks that hide, reorder or imitate are spelled out", () => {
  for (const [mark, code] of [["\u202e", "202e"], ["\u200b", "200b"], ["\u00a0", "a0"], ["\u0000", "0"], ["\u001b", "1b"], ["\ufe0f", "fe0f"], ["\u{e0041}", "e0041"], ["\u3164", "3164"], ["\u2028", "2028"], ["\u2800", "2800"], ["\ud800", "d800"]]) {
    assert.equal(plain(`a${mark}b`), `a\\u{${code}}b`);
  }
  assert.equal(plain("two\n\tlines, ü 日本 🙂 é"), "two\n\\tlines, ü 日本 🙂 é");
  assert.equal(line("a\nb\tc"), "a\\nb\\tc");
  assert.equal(guarded("␣9 times␣ a\n\u200b\u001b[2J"), "␣9 times␣ a\n\\u{200b}\\u{1b}[2J");
});

test("every text is shown as the command line shows it", () => {
  const cases = JSON.parse(readFileSync(new URL("../../../tests/fixtures/text/shown.json", import.meta.url), "utf8"));
  assert.ok(cases.length > 20);
  for (const { text, times = 1, before = "", after = "", ...shown } of cases) {
    const whole = before + text.repeat(times) + after;
    assert.deepEqual({ line: line(whole), lines: lines(whole) }, shown, JSON.stringify(text));
  }
});

test("the table holds all that Unicode calls invisible, and all that is drawn onto something else", () => {
  const codes = (list) => new Set(list.trim().split(/\s+/).flatMap((range) => {
    const [first, last = first] = range.split("-").map((code) => Number.parseInt(code, 16));
    return Array.from({ length: last - first + 1 }, (_, at) => first + at);
  }));
  const [hidden, combining] = [codes(HIDDEN), codes(COMBINING)];
  const isInvisible = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}\p{Noncharacter_Code_Point}\p{Default_Ignorable_Code_Point}\p{White_Space}\u2800]/u;
  const missing = Array.from({ length: 0x110000 }, (_, code) => code).filter((code) => {
    const character = String.fromCodePoint(code);
    if (character !== " " && isInvisible.test(character)) return !hidden.has(code);
    return /\p{M}/u.test(character) && !hidden.has(code) && !combining.has(code);
  });
  assert.deepEqual(missing.map((code) => code.toString(16)), []);
});
