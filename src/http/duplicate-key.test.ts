import * as fc from "fast-check";
import { expect, test } from "vitest";
import { duplicateKey } from "./duplicate-key.js";

test("no value that JSON.stringify writes has a key twice, however it is spaced", () => {
  fc.assert(
    fc.property(
      fc.jsonValue({ stringUnit: "binary" }),
      fc.constantFrom(undefined, 1, "\t"),
      (value, indent) => {
        expect(duplicateKey(JSON.stringify(value, null, indent))).toBeUndefined();
      },
    ),
    { seed: 1, numRuns: 500 },
  );
});

test("a key that was put in a second time is found where it was put, at any depth", () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string({ unit: "binary" }), fc.jsonValue(), { minKeys: 1 }),
      fc.jsonValue(),
      fc.nat(),
      (object, value, nth) => {
        const keys = Object.keys(object);
        const key = keys[nth % keys.length] ?? "";
        const before = `[${JSON.stringify(value)}, {"deep": `;
        const text = JSON.stringify(object).slice(0, -1);
        const json = `${before}${text},${JSON.stringify(key)} : 1}}]`;
        expect(duplicateKey(json)).toEqual({ key, position: before.length + text.length + 1 });
      },
    ),
    { seed: 1, numRuns: 500 },
  );
});

test.each([
  ['{"a":1,"\\u0061":2}', 7],
  ['{"\\u00e9":1,"é":2}', 12],
  ['{"":1,"":2}', 6],
  ['{"a":{"a":1},"a":2}', 13],
])("keys are compared as they are meant: %s", (json, position) => {
  expect(duplicateKey(json)?.position).toBe(position);
});
