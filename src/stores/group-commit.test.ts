import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { StoreClosedError } from "../core/errors.js";
import { Failure, GroupCommit } from "./group-commit.js";

test("operations of one tick share a group, in order", async () => {
  const { groups, commit } = counting();
  const answers = await Promise.all([commit.submit([1, 2]), commit.submit([3])]);
  expect(groups).toEqual([[1, 2, 3]]);
  expect(answers).toEqual([[10, 20], [30]]);
});

test("operations that continuations of a tick bring join its group", async () => {
  const { groups, commit } = counting();
  const later = Promise.resolve()
    .then(() => Promise.resolve())
    .then(() => commit.submit([2]));
  await Promise.all([commit.submit([1]), later]);
  expect(groups).toEqual([[1, 2]]);
});

test("what comes in while a group is out goes with the next one", async () => {
  const { groups, commit, release } = counting();
  const first = commit.submit([1]);
  await tick();
  const rest = [commit.submit([2]), tick().then(() => commit.submit([3]))];
  await tick();
  await tick();
  release();
  await Promise.all([first, ...rest]);
  expect(groups).toEqual([[1], [2, 3]]);
});

test("a call that is larger than a group is answered whole, in order", async () => {
  const { groups, commit } = counting();
  const operations = Array.from({ length: 1_200 }, (_, index) => index);
  const [large, small] = await Promise.all([commit.submit(operations), commit.submit([7])]);
  expect(groups.map((group) => group.length)).toEqual([512, 512, 177]);
  expect(large).toEqual(operations.map((n) => n * 10));
  expect(small).toEqual([70]);
});

test("an operation that fails rejects only the call that it was part of", async () => {
  const commit = new GroupCommit<number, number>(async (group) =>
    group.map((n) => (n < 0 ? new Failure(new Error(`no ${n}`)) : n)),
  );
  const [good, bad] = await Promise.allSettled([commit.submit([1, 2]), commit.submit([3, -4])]);
  expect(good).toEqual({ status: "fulfilled", value: [1, 2] });
  expect(bad).toMatchObject({ status: "rejected", reason: new Error("no -4") });
});

test("of a group that cannot be carried out at all, only the guilty operation fails", async () => {
  const commit = new GroupCommit<number, number>(async (group) => {
    if (group.includes(2)) throw new Error("2 cannot be sent");
    return [...group];
  });
  const settled = await Promise.allSettled([commit.submit([1]), commit.submit([2]), commit.submit([3])]);
  expect(settled).toMatchObject([
    { status: "fulfilled", value: [1] },
    { status: "rejected", reason: new Error("2 cannot be sent") },
    { status: "fulfilled", value: [3] },
  ]);
  await expect(commit.submit([4])).resolves.toEqual([4]);
});

test("close waits for what was gathered, and nothing comes in after it", async () => {
  const { groups, commit } = counting();
  const answered = commit.submit([1]);
  const closed = commit.close();
  await expect(commit.submit([2])).rejects.toThrow(StoreClosedError);
  await closed;
  expect(groups).toEqual([[1]]);
  await expect(answered).resolves.toEqual([10]);
});

/** Answers ten times each operation; the first group is out until `release`, or not held at all where that is never waited for. */
function counting() {
  const groups: number[][] = [];
  let release = (): void => {};
  let held = true;
  const commit = new GroupCommit<number, number>(async (group) => {
    groups.push([...group]);
    if (held && group.length === 1) {
      held = false;
      await Promise.race([
        new Promise<void>((resolve) => {
          release = resolve;
        }),
        sleep(20),
      ]);
    }
    return group.map((n) => n * 10);
  });
  return { groups, commit, release: () => release() };
}

function tick(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
