import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InvalidValueError } from "./errors.js";
import { decodeValue, encodeValue, jsonCodec } from "./payload.js";

describe("encodeValue", () => {
  test("gives back every JSON value as it was", () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: "binary" }), (value) => {
        expect(decodeValue(jsonCodec, encodeValue(jsonCodec, value, "it"))).toEqual(normalised(value));
      }),
    );
  });

  test("either gives a value back equal or refuses it at the call", () => {
    fc.assert(
      fc.property(
        fc.anything({
          withBigInt: true,
          withDate: true,
          withMap: true,
          withSet: true,
          withSparseArray: true,
        }),
        (value) => {
          expect([REFUSED, normalised(value)]).toContainEqual(roundTrip(value));
        },
      ),
    );
  });

  test("names the place of what it refuses", () => {
    expect(() =>
      encodeValue(jsonCodec, { a: [{ "b c": new Date(0) }] }, 'the input of activity "x"'),
    ).toThrow('Cannot send the input of activity "x": a[0].b c is a Date. Hint: send date.toISOString().');
  });

  test.each(["enc:a\0b", "enc:\ud800", "enc:\udc00a"])(
    "refuses what a codec made if not every store can hold it: %j",
    (text) => {
      const codec = { encode: () => text, decode: () => "1" };
      expect(() => encodeValue(codec, 1, "the input")).toThrow(InvalidValueError);
      expect(() => encodeValue(codec, 1, "the input")).toThrow(/Cannot send the input: .* base64/);
    },
  );

  test("takes what a codec made of any other text, and JSON's own escapes", () => {
    const codec = { encode: () => "enc:é😀", decode: () => "1" };
    expect(encodeValue(codec, 1, "it")).toBe("enc:é😀");
    expect(encodeValue(jsonCodec, "\0\ud800", "it")).toBe('"\\u0000\\ud800"');
  });

  test("takes no time that grows with the square of a long list", () => {
    const list = Array.from({ length: 200_000 }, (_, n) => ({ n }));
    expect(encodeValue(jsonCodec, list, "it")?.length).toBeGreaterThan(200_000);
  });
});

const REFUSED = Symbol("refused");

function roundTrip(value: unknown): unknown {
  try {
    return decodeValue(jsonCodec, encodeValue(jsonCodec, value, "it"));
  } catch (error) {
    if (error instanceof InvalidValueError) return REFUSED;
    throw error;
  }
}

/** What JSON itself does to a value that it keeps: no undefined members, no negative zero, own members only. */
function normalised(value: unknown): unknown {
  if (Object.is(value, -0)) return 0;
  if (Array.isArray(value)) return value.map(normalised);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .map(([key, member]) => [key, normalised(member)]),
  );
}
