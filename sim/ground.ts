import { copyFileSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ShownWorker, Store } from "../src/core/store.js";
import { MemoryDatabase } from "../src/stores/memory/database.js";
import { LeaseTable, type MemoryLeaseOptions, MemoryLeases } from "../src/stores/memory/leases.js";
import { openMemoryStore } from "../src/stores/memory/store.js";
import { openSqliteStore } from "../src/stores/sqlite/store.js";
import { LateNumbers } from "./late-numbers.js";

/** A store to simulate on: new, and shared by several processes through leases. */
export interface Ground extends AsyncDisposable {
  /** Another one after each {@link restart}, where the data is not in memory. */
  readonly store: Store;
  /** The store ends and begins anew, on the same data. */
  readonly restart: () => Promise<void>;
  /** Where messages may come out of the order of their numbers. */
  readonly numbers?: LateNumbers;
  readonly leases: MemoryLeases;
  /** Ends a worker's lease now, as if it had not been renewed in time: it knows at its next renewal only. */
  readonly endLease: (worker: string) => void;
  /** Leases that nobody else sees: whoever has them takes himself for the only worker. */
  readonly ownLeases: () => MemoryLeases;
  readonly workers: () => Promise<readonly ShownWorker[]>;
  /** Whether work may leave its owner's process. */
  readonly tasks: boolean;
}

/**
 * `memory` stands for PostgreSQL: it has tasks, and its message numbers may come late. `memory alone` has neither, and so
 * does exactly what `sqlite` does.
 */
export const GROUNDS = ["memory", "memory alone", "sqlite"] as const;
export type GroundKind = (typeof GROUNDS)[number];

/** The same plan gives the same log on these. */
export const ALIKE: readonly GroundKind[] = ["memory alone", "sqlite"];

/** Makes ground after ground of a kind. */
export interface Grounds extends Disposable {
  readonly lay: (leases: MemoryLeaseOptions) => Promise<Ground>;
}

/** Every kind of ground. */
export class AllGrounds implements Disposable {
  readonly #all: ReadonlyMap<GroundKind, Grounds>;

  private constructor(all: ReadonlyMap<GroundKind, Grounds>) {
    this.#all = all;
  }

  static async open(): Promise<AllGrounds> {
    const all = new Map<GroundKind, Grounds>();
    for (const kind of GROUNDS) all.set(kind, await groundsOf(kind));
    return new AllGrounds(all);
  }

  on(kind: GroundKind): Grounds {
    const grounds = this.#all.get(kind);
    if (grounds === undefined) throw new TypeError(`no ground ${kind}`);
    return grounds;
  }

  [Symbol.dispose](): void {
    for (const each of this.#all.values()) each[Symbol.dispose]();
  }
}

export async function groundsOf(kind: GroundKind): Promise<Grounds> {
  return kind === "sqlite" ? sqliteGrounds() : memoryGrounds(kind === "memory");
}

function memoryGrounds(asPostgres: boolean): Grounds {
  return {
    lay: async (options) => {
      const database = new MemoryDatabase();
      const store = openMemoryStore({ database, leases: options });
      const table = asPostgres ? database.hub(store.taskHub).leases : new LeaseTable();
      const numbers = new LateNumbers(store, options.now);
      return {
        ...(asPostgres ? { store: numbers.store, numbers } : { store }),
        restart: async () => {}, // a store in memory that ends takes its data with it
        // Those of the store tell its other engines what has changed.
        leases: asPostgres && store.leases !== undefined ? store.leases : leasesOn(table, options),
        endLease: (worker) => table.expire(worker),
        ownLeases: () => leasesOn(new LeaseTable(), options),
        workers: async () => table.workers(options.now()),
        tasks: asPostgres,
        [Symbol.asyncDispose]: () => store.close(),
      };
    },
    [Symbol.dispose]: () => {},
  };
}

/**
 * A SQLite file admits one engine. Here several share it all the same, by leases that only the simulation knows of: its
 * statements must keep them apart. Each schedule gets a copy of an empty hub.
 */
async function sqliteGrounds(): Promise<Grounds> {
  // In memory where there is such a place: what a disk adds is tried elsewhere.
  const folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "tenure-sim-"));
  const empty = join(folder, "empty.db");
  await (await openSqliteStore({ file: empty, inline: true })).close();
  let count = 0;
  return {
    lay: async (options) => {
      const file = join(folder, `hub-${++count}.db`);
      copyFileSync(empty, file);
      let store = await openSqliteStore({ file, inline: true });
      const table = new LeaseTable();
      return {
        get store() {
          return store;
        },
        restart: async () => {
          await store.close();
          store = await openSqliteStore({ file, inline: true });
        },
        leases: leasesOn(table, options),
        endLease: (worker) => table.expire(worker),
        ownLeases: () => leasesOn(new LeaseTable(), options),
        workers: async () => table.workers(options.now()),
        tasks: false,
        [Symbol.asyncDispose]: async () => {
          await store.close();
          for (const suffix of ["", "-wal", "-shm", "-engine"]) rmSync(`${file}${suffix}`, { force: true });
        },
      };
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

function leasesOn(table: LeaseTable, options: MemoryLeaseOptions): MemoryLeases {
  return new MemoryLeases(
    options,
    () => table,
    () => {},
  );
}
