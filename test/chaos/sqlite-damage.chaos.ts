import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { StoreDamagedError } from "../../src/core/errors.js";
import { TaskHub } from "../../src/index.js";
import { loadDriver } from "../../src/stores/sqlite/driver.js";
import { Engine } from "./sqlite-engine.js";
import { printSummary } from "./summary.js";

const JOBS = 30;

/** Where SQLite keeps the size of a page in its header, https://sqlite.org/fileformat.html. */
const PAGE_SIZE_AT = 16;
const FILE_HEADER = 100;
const PAGE_HEADER = 8;

type Damage = (page: Buffer, number: number) => void;

/** Each byte of the page's own header is another. */
const flip: Damage = (page, number) => {
  const from = number === 1 ? FILE_HEADER : 0;
  for (let at = from; at < from + PAGE_HEADER; at++) page.writeUInt8(page.readUInt8(at) ^ 0xff, at);
};

/** Only its first half was written. */
const tear: Damage = (page) => void page.fill(0, page.length / 2);

let folder = "";
let whole = "";
let answers: ReadonlyMap<string, string>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "tenure-damage-"));
  whole = join(folder, "whole.db");
  const engine = await Engine.start({ file: whole, witness: join(folder, "witness") });
  {
    await using connection = await TaskHub.connect({ store: `sqlite:${whole}` });
    const { client } = connection;
    for (let job = 0; job < JOBS; job++) {
      const handle = await client.startNew("job", { instanceId: `job-${job}`, input: { child: true } });
      await client.startNew("hold", { instanceId: `hold-${job}`, input: "x".repeat(job * 100) });
      await handle.result();
    }
  }
  await engine.close(); // the log is in the file now
  answers = await readAll(whole);
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

test.each([
  { what: "flipped page headers", damage: flip },
  { what: "torn pages", damage: tear },
])("of $what nothing is served that was not written", async ({ what, damage }) => {
  const beganMs = performance.now();
  const file = join(folder, "damaged.db");
  const pages = pageCount();
  const verdicts = { refused: 0, same: 0 };
  const broken: string[] = [];
  for (let page = 1; page <= pages; page++) {
    damageCopy(file, page, damage);
    try {
      const served = await readAll(file);
      const wrong = [...answers].filter(([question, answer]) => served.get(question) !== answer);
      if (wrong.length === 0 && served.size === answers.size) verdicts.same += 1;
      else broken.push(`page ${page}: ${wrong.length} wrong answers, ${wrong[0]?.[0]} ${served.size}`);
    } catch (error) {
      if (error instanceof StoreDamagedError && error.message.includes("restore a backup")) verdicts.refused += 1;
      else broken.push(`page ${page}: ${String(error)}`);
    }
  }
  printSummary({
    fault: `SQLite: ${what}`,
    runs: pages,
    injected: verdicts.refused,
    refused: 0,
    again: 0,
    lost: 0,
    doubled: broken.length,
    recoverMs: 0,
    seconds: (performance.now() - beganMs) / 1000,
    errors: `${verdicts.refused} StoreDamaged, ${verdicts.same} pages that nobody reads`,
  });
  expect(broken).toEqual([]);
  expect(verdicts.refused).toBeGreaterThan(0);
});

test.each(["inst", "message"])("an engine that meets damage in %s ends", async (table) => {
  const file = join(folder, `${table}.db`);
  damageCopy(file, await rootPage(table), flip);
  const engine = Engine.launch({ file, witness: join(folder, "witness") });
  await engine.runs();
  const { code } = await engine.ended;
  expect(code).not.toBe(0);
  expect(engine.said).toContain("is damaged or is not a SQLite file");
  expect(engine.said).toContain("restore a backup");
});

/** Everything that can be asked of the hub, and the answers. */
async function readAll(file: string): Promise<ReadonlyMap<string, string>> {
  await using connection = await TaskHub.connect({ store: `sqlite:${file}` });
  const { client } = connection;
  const seen = new Map<string, string>();
  const { instances } = await client.list({ top: 1000 });
  seen.set("list", JSON.stringify(instances));
  for (let job = 0; job < JOBS; job++) {
    for (const instanceId of [`job-${job}`, `hold-${job}`, `job-${job}-part`]) {
      seen.set(`status ${instanceId}`, JSON.stringify(await client.getStatus(instanceId)));
      seen.set(`history ${instanceId}`, JSON.stringify(await client.getHistory(instanceId)));
    }
  }
  return seen;
}

function damageCopy(file: string, page: number, damage: Damage): void {
  for (const suffix of ["-wal", "-shm", "-engine"]) rmSync(file + suffix, { force: true });
  copyFileSync(whole, file);
  const bytes = readFileSync(file);
  const size = pageSize(bytes);
  damage(bytes.subarray((page - 1) * size, page * size), page);
  writeFileSync(file, bytes);
}

function pageSize(bytes: Buffer): number {
  return bytes.readUInt16BE(PAGE_SIZE_AT);
}

function pageCount(): number {
  const bytes = readFileSync(whole);
  return bytes.length / pageSize(bytes);
}

async function rootPage(table: string): Promise<number> {
  const Driver = await loadDriver();
  const connection = new Driver(whole, { enableForeignKeyConstraints: false });
  try {
    const row: unknown = connection.prepare("select rootpage from sqlite_schema where name = ?").get(table);
    return Number(Object.values(Object.assign({}, row))[0]);
  } finally {
    connection.close();
  }
}
