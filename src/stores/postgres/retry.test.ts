import { describe, expect, it } from "vitest";
import { StoreConflictError } from "../../core/errors.js";
import { DatabaseFault } from "./fault.js";
import { CONTENTION, LOSS, retrying } from "./retry.js";

const serverError = (code: string): DatabaseFault =>
  new DatabaseFault(Object.assign(new Error(code), { severity: "ERROR", code }));
const deadlock = serverError("40P01");
const lost = new DatabaseFault(new Error("Connection terminated unexpectedly"));

/** Runs an attempt that fails with these faults first; returns how it went, and the pauses that were made. */
async function run(faults: readonly Error[], random: number, msPerTry = 0) {
  const pauses: number[] = [];
  let tries = 0;
  const outcome = await retrying(
    async () => {
      const fault = faults[tries++];
      if (fault !== undefined) throw fault;
      return "done";
    },
    LOSS,
    {
      pause: async (ms) => void pauses.push(ms),
      random: () => random,
      nowMs: () => tries * msPerTry,
    },
  ).catch((error: unknown) => error);
  return { outcome, pauses, tries };
}

describe("retrying", () => {
  it("tries again what met another transaction, after short pauses", async () => {
    const { outcome, pauses } = await run([deadlock, deadlock, serverError("40001")], 0.5);
    expect(outcome).toBe("done");
    expect(pauses).toEqual([1, 2, 4]);
  });

  it("gives a server that restarts about fifteen seconds, and never much more", async () => {
    const many = Array.from({ length: 100 }, () => lost);
    for (const random of [0, 0.999]) {
      const { outcome, pauses, tries } = await run(many, random);
      expect(outcome).toBe(lost);
      expect(tries).toBe(LOSS.tries);
      const total = pauses.reduce((sum, ms) => sum + ms, 0);
      expect(total).toBeGreaterThan(5_000);
      expect(total).toBeLessThan(25_000);
    }
  });

  it("gives up on contention as well", async () => {
    const { outcome, tries } = await run(
      Array.from({ length: 100 }, () => deadlock),
      0.5,
    );
    expect(outcome).toBe(deadlock);
    expect(tries).toBe(CONTENTION.tries);
  });

  it("begins no further try once the time is over, however few there were", async () => {
    const many = Array.from({ length: 100 }, () => lost);
    const { outcome, tries } = await run(many, 0.5, 10_001);
    expect(outcome).toBe(lost);
    expect(tries).toBe(2);
  });

  it("does not try again what would fail again, nor what was decided", async () => {
    for (const error of [serverError("42601"), serverError("53100"), new StoreConflictError("too long")]) {
      const { outcome, tries } = await run([error], 0.5);
      expect(outcome).toBe(error);
      expect(tries).toBe(1);
    }
  });
});
