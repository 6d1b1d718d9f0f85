import { expect, test } from "vitest";
import { prefixEnd } from "./prefix.js";

test.each([
  ["order-", "order."],
  ["a\u{10ffff}", "b"],
  ["\ud7ff", "\ue000"],
  ["ä", "å"],
  ["\u{1f600}", "\u{1f601}"],
])("all that starts with %j is before %j", (prefix, end) => {
  expect(prefixEnd(prefix)).toBe(end);
});

test("nothing is behind all that starts with the last character, or with none", () => {
  expect(prefixEnd("\u{10ffff}")).toBeUndefined();
  expect(prefixEnd("")).toBeUndefined();
});
