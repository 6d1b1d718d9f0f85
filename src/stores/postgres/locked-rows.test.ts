import { expect, test } from "vitest";
import type { Command } from "../../core/command.js";
import { StoreConflictError } from "../../core/errors.js";
import { Failure } from "../group-commit.js";
import { type Write, writeAroundLocks } from "./locked-rows.js";

const commands = ["a", "hot", "a", "b"].map(
  (instanceId, nth): Command => ({ kind: "raise", instanceId, name: String(nth), atMs: nth }),
);

const tookTooLong = (): StoreConflictError =>
  new StoreConflictError("lock", { cause: Object.assign(new Error(), { severity: "ERROR", code: "55P03" }) });

/** Writes what does not name a locked ID; `waits` says what was tried, and how long it would have waited. */
function writing(locked: readonly string[]): { write: Write; waits: [string, number | undefined][] } {
  const waits: [string, number | undefined][] = [];
  const write: Write = async (group, lockTimeoutMs) => {
    const ids = group.map(({ instanceId }) => instanceId);
    waits.push([ids.join(), lockTimeoutMs]);
    if (locked.some((id) => ids.includes(id))) throw tookTooLong();
    return ids.map(() => ({ outcome: "done", runtimeStatus: "Running" }));
  };
  return { write, waits };
}

test("a group waits for a lock for less long than the server lets it, one ID alone as long as that", async () => {
  const { write, waits } = writing([]);
  await writeAroundLocks(write, commands);
  await writeAroundLocks(write, commands.slice(0, 1));
  expect(waits).toEqual([
    ["a,hot,a,b", expect.any(Number)],
    ["a", undefined],
  ]);
  expect(waits[0]?.[1]).toBeLessThan(5_000);
});

test("each ID is tried by itself with its commands in order, what is locked last, and answers keep their places", async () => {
  const { write, waits } = writing(["hot"]);
  const answers = await writeAroundLocks(write, commands);
  expect(waits.map(([ids]) => ids)).toEqual(["a,hot,a,b", "a,a", "hot", "b", "hot"]);
  expect(answers.map((answer) => answer instanceof Failure)).toEqual([false, true, false, false]);
});

test("what fails for another reason fails the whole group", async () => {
  const write: Write = () => Promise.reject(new StoreConflictError("the disk is full"));
  await expect(writeAroundLocks(write, commands)).rejects.toThrow("disk");
});
