import { expect, test } from "vitest";
import { ChangeLog } from "./change-log.js";

test("an instance has changed since a moment if a change of it was heard after that", () => {
  const log = new ChangeLog();
  log.add("a");
  const moment = log.now;
  expect(log.since(moment, "a")).toBe(false);
  log.add("b");
  expect(log.since(moment, "a")).toBe(false);
  expect(log.since(moment, "b")).toBe(true);
  log.add("a");
  expect(log.since(moment, "a")).toBe(true);
});

test("any instance may have changed since a moment after which anything may have", () => {
  const log = new ChangeLog();
  const moment = log.now;
  log.addAll();
  expect(log.since(moment, "a")).toBe(true);
  expect(log.since(log.now, "a")).toBe(false);
});

test("of what was forgotten, it may have been anything", () => {
  const log = new ChangeLog();
  const moment = log.now;
  for (let index = 0; index < 5000; index++) log.add(`instance-${index}`);
  expect(log.since(moment, "never heard of")).toBe(true);
  const later = log.now;
  log.add("another");
  expect(log.since(later, "never heard of")).toBe(false);
});
