import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { StoreUnusableError } from "../../core/errors.js";
import { orchestration, TaskHub } from "../../index.js";
import { problemsIn } from "./check.js";
import { loadDriver } from "./driver.js";

let folder = "";
let file = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tenure-"));
  file = join(folder, "hub.db");
  return () => rmSync(folder, { recursive: true, force: true });
});

const job = orchestration("job", async (ctx) => {
  await ctx.sleep(1);
  return "done";
});

/** A file in which one orchestration has ended and one waits; then what was done to it. */
async function hubFile(damage = ""): Promise<void> {
  await using hub = await TaskHub.open({ store: `sqlite:${file}`, functions: [job] });
  await (await hub.client.startNew(job)).result();
  await hub.client.startNew(job, { startAt: new Date(Date.now() + 3_600_000) });
  await hub.close();
  const driver = new (await loadDriver())(file, { enableForeignKeyConstraints: false });
  driver.exec(damage);
  driver.close();
}

test("nothing is wrong with a file as it should be, be an engine at work on it or not", async () => {
  await hubFile();
  expect(await problemsIn(file)).toEqual([]);
  await using hub = await TaskHub.open({ store: `sqlite:${file}`, functions: [job] });
  const jobs = Array.from({ length: 50 }, async () => (await hub.client.startNew(job)).result());
  expect(await problemsIn(file)).toEqual([]);
  await Promise.all(jobs);
});

test.each([
  ["delete from execution where iid = 1", "1 instances without their current execution"],
  ["delete from inst where iid = 1", "1 executions of no instance"],
  ["delete from inst where iid = 1", "history of no instance"],
  ["delete from inst where iid = 2", "1 timers of no instance"],
  ["insert into message (hub, shard, iid, body) values (1, 0, 77, '[]')", "1 mail of no instance"],
  [
    "update hist set chunk = '[1,[0' where n = 1",
    "history row 1 of instance row 1: A history chunk is not JSON",
  ],
])("%s: is told as a problem", async (damage, problem) => {
  await hubFile(damage);
  expect((await problemsIn(file)).join("\n")).toContain(problem);
});

test("pages that hold something else are told, and so is a file that is no database", async () => {
  await hubFile("pragma wal_checkpoint(truncate)");
  const bytes = readFileSync(file);
  bytes.fill(0xff, 3 * 4096 + 8, 6 * 4096);
  writeFileSync(file, bytes);
  expect(await problemsIn(file)).not.toEqual([]);
  writeFileSync(file, "a text, and no database".repeat(500));
  expect((await problemsIn(file)).join()).toContain("is damaged or is not a SQLite file");
});

test("a file that is not there is no damaged one, and is not made", async () => {
  await expect(problemsIn(join(folder, "other.db"))).rejects.toThrow(StoreUnusableError);
  await expect(problemsIn(join(folder, "other.db"))).rejects.toThrow("is not there");
});
