import { expect, test } from "vitest";
import { DrawnFaults, hasBitten } from "../../sim/faults.js";
import { stream } from "../../sim/random.js";

const CALL = { process: "worker1", label: "poll", can: () => true, stake: 4 };

test("hints that go astray and late messages leave the calls' budget alone, and do not make a schedule count", () => {
  const faults = new DrawnFaults(stream(1, "faults"));
  for (let n = 0; n < 100_000; n++) {
    faults.atHint();
    faults.atMessages();
  }
  expect(faults.drawn).toBe(24);
  expect(hasBitten(faults.bit)).toBe(false);
  for (let n = 0; n < 100_000; n++) faults.atCall(CALL);
  expect(faults.drawn).toBe(48);
  expect(hasBitten(faults.bit)).toBe(true);
});

test("a fault that is left out does not shift the others", () => {
  const kinds = (without: ReadonlySet<number>): (string | undefined)[] => {
    const faults = new DrawnFaults(stream(2, "faults"), without);
    return Array.from({ length: 200 }, () => faults.atCall(CALL)?.kind);
  };
  const all = kinds(new Set());
  const third = all.flatMap((kind, at) => (kind === undefined ? [] : [at]))[2];
  expect(kinds(new Set([2]))).toEqual(all.map((kind, at) => (at === third ? undefined : kind)));
});
