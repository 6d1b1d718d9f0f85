import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { StoreDamagedError } from "../../src/core/errors.js";
import { TaskHub } from "../../src/index.js";
import { problemsIn } from "../../src/stores/sqlite/check.js";
import { loadDriver } from "../../src/stores/sqlite/driver.js";
import { Engine } from "./sqlite-engine.js";
import { printSummary } from "./summary.js";

const JOBS = 30;

/** Where SQLite keeps the size of a page in its header, https://sqlite.org/fileformat.html. */
const PAGE_SIZE_AT = 16;
const FILE_HEADER = 100;
const PAGE_HEADER = 8;
const TREE_PAGE_TYPES: ReadonlySet<number> = new Set([2, 5, 10, 13]);

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

/**
 * SQLite has no checksums over pages of the file: it sees a page whose structure is broken as soon as somebody reads
 * it, but not other bytes inside a value, and not an old or empty page of the right structure.
 */
test("a page whose header is flipped is refused, or nobody reads it", async () => {
  const file = join(folder, "flipped.db");
  const tally = new Tally("flipped pages");
  for (const page of treePages()) {
    damageCopy(file, page, flip);
    const seen = await served(file);
    if (seen === "as written") tally.same += 1;
    else if (seen === "refused") tally.refused += 1;
    else tally.broken.push(`page ${page}: ${seen}`);
  }
  tally.print();
  expect(tally.broken).toEqual([]);
  expect(tally.refused).toBeGreaterThan(0);
});

/** What is read of a torn page is served, wrong as it is: no reader can know. A check of the whole file must. */
test("a torn page is refused, or found by a check of the file, or nobody reads it", async () => {
  const tally = new Tally("torn pages");
  tally.found = 0;
  for (const page of treePages()) {
    const file = join(folder, `torn-${page}.db`);
    damageCopy(file, page, tear);
    const seen = await served(file);
    // What `tenure db check` does.
    const found = (await problemsIn(file)).length > 0;
    if (found) tally.found += 1;
    if (seen === "as written") tally.same += 1;
    else if (seen === "refused") tally.refused += 1;
    else if (found) tally.checked += 1;
    else tally.broken.push(`page ${page}: ${seen}`);
  }
  tally.print();
  expect(tally.broken).toEqual([]);
  expect(tally.refused + tally.checked).toBeGreaterThan(0);
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

/** What became of pages that were damaged one after the other. */
class Tally {
  refused = 0;
  /** Read as they were written: the page held nothing that is asked for. */
  same = 0;
  /** Served otherwise than written, which a check of the file tells. */
  checked = 0;
  /** How many a check of the file tells, served or not; undefined where none was made. */
  found: number | undefined;
  readonly broken: string[] = [];
  readonly #beganMs = performance.now();

  constructor(readonly fault: string) {}

  print(): void {
    printSummary({
      fault: `SQLite: ${this.fault}`,
      runs: this.refused + this.same + this.checked + this.broken.length,
      injected: this.refused + this.checked,
      refused: undefined,
      again: 0,
      lost: 0,
      doubled: this.broken.length,
      recoverMs: undefined,
      seconds: (performance.now() - this.#beganMs) / 1000,
      errors:
        `${this.refused} StoreDamaged, ${this.checked} wrong answers, ${this.same} not read` +
        (this.found === undefined ? "" : `; db check tells ${this.found}`),
    });
  }
}

/** How a damaged file is served: in full as it was written, refused by name, or how else. */
async function served(file: string): Promise<string> {
  try {
    const seen = await readAll(file);
    const wrong = [...answers].filter(([question, answer]) => seen.get(question) !== answer);
    return wrong.length === 0 ? "as written" : `${wrong.length} other answers, the first to ${wrong[0]?.[0]}`;
  } catch (error) {
    const isNamed = error instanceof StoreDamagedError && error.message.includes("restore a backup");
    return isNamed ? "refused" : String(error);
  }
}

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

/** The pages that hold rows: others are the tails of long values, or free. */
function treePages(): readonly number[] {
  const bytes = readFileSync(whole);
  const size = pageSize(bytes);
  const typeOf = (page: number): number => bytes.readUInt8(page === 1 ? FILE_HEADER : (page - 1) * size);
  return Array.from({ length: bytes.length / size }, (_, index) => index + 1).filter((page) =>
    TREE_PAGE_TYPES.has(typeOf(page)),
  );
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
