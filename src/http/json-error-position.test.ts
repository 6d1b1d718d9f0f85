import * as fc from "fast-check";
import { expect, test } from "vitest";
import { jsonErrorPosition } from "./json-error-position.js";

test.each<[text: string, position: number]>([
  ["", 0],
  ["  ", 2],
  ["x", 0],
  ['{"a":1,\n"b":x}', 12],
  ['{"a":', 5],
  ['{"a":1,}', 7],
  ["[1,]", 3],
  ["[1 2]", 3],
  ["{a:1}", 1],
  ['{"a" 1}', 5],
  ["[1}", 2],
  ["1 1", 2],
  ["tru", 3],
  ["trux", 3],
  ["01", 1],
  ["-", 1],
  ["1.", 2],
  ["1.x", 2],
  ["1e+", 3],
  ['"a', 2],
  ['"a\nb"', 2],
  ['"\\x"', 2],
  ['"\\u12g4"', 5],
  ["\ufeff1", 0],
])("%j stops being JSON at %i", (text, position) => {
  expect(isJson(text)).toBe(false);
  expect(jsonErrorPosition(text)).toBe(position);
});

test("an inserted character is found wrong where it is or later; JSON is read to its end", () => {
  const where = fc.nat();
  const one = fc.string({ minLength: 1, maxLength: 1 });
  fc.assert(
    fc.property(fc.json({ maxDepth: 4 }), where, one, (json, place, char) => {
      const at = place % (json.length + 1);
      const broken = json.slice(0, at) + char + json.slice(at);
      expect(jsonErrorPosition(json)).toBe(json.length);
      return isJson(broken) || jsonErrorPosition(broken) >= at;
    }),
  );
});

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
