import { Client } from "pg";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { connect, postgresUrl } from "../../../test/postgres-schema.js";
import { newTables, type Tables } from "../../../test/postgres-tables.js";
import { SHARD_COUNT } from "../../core/shard.js";
import { Row } from "../rows.js";
import { COMING_BACK_MS } from "./lease-times.js";
import { type LeaseParts, PostgresLeases } from "./leases.js";
import { type LockSession, PostgresLockSession, type Standing } from "./lock-session.js";
import { shownWorkers } from "./workers.js";

const HUB = 1;
const ALL = Array.from({ length: SHARD_COUNT }, (_, shard) => shard);

describe.skipIf(postgresUrl === undefined)("leases of PostgreSQL", () => {
  let tables: Tables;
  const sessions: PostgresLockSession[] = [];
  beforeEach(async () => {
    tables = await newTables();
  });
  afterEach(async () => {
    for (const session of sessions.splice(0)) await session.close();
    await tables[Symbol.asyncDispose]();
  });

  test("a worker that joins is shown, with its lease and without shards", async () => {
    const leases = await joined("a");
    const [shown] = await shownWorkers(tables.query, HUB);
    expect(shown).toMatchObject({ ...infoOf("a"), shards: 0 });
    expect(shown?.draining).toBeUndefined();
    const [columns] = await tables.query(
      "select (extract(epoch from clock_timestamp()) * 1000)::bigint from @worker where id = 'a'",
    );
    const leftMs = (shown?.leaseEndMs ?? 0) - new Row(columns).integer();
    expect(leftMs).toBeGreaterThan(0);
    expect(leftMs).toBeLessThanOrEqual(leases.leaseMs);
  });

  test("every worker sees all that live, and who holds which shard", async () => {
    const [a, b] = [await joined("a"), await joined("b")];
    expect(await a.claim("a", [1, 3])).toEqual([1, 3]);
    expect(await b.claim("b", [3, 2, 2])).toEqual([2]);
    const expected = {
      workers: ["a", "b"],
      owners: [
        [1, "a"],
        [2, "b"],
        [3, "a"],
      ],
    };
    expect(await seenBy(a, "a")).toEqual(expected);
    expect(await seenBy(b, "b")).toEqual(expected);
    expect((await shownWorkers(tables.query, HUB)).map(({ id, shards }) => [id, shards])).toEqual([
      ["a", 2],
      ["b", 1],
    ]);
  });

  test("hubs do not see each other", async () => {
    const a = await joined("a");
    const other = await joined("b", { hub: 2 });
    await a.claim("a", [1]);
    expect(await other.claim("b", [1])).toEqual([1]);
    expect(await seenBy(a, "a")).toEqual({ workers: ["a"], owners: [[1, "a"]] });
    expect(await seenBy(other, "b")).toEqual({ workers: ["b"], owners: [[1, "b"]] });
    expect(await shownWorkers(tables.query, HUB)).toHaveLength(1);
  });

  test("a shard that a living worker holds is nobody else's, until it is given back", async () => {
    const changes: string[] = [];
    const a = await joined("a", { changed: () => changes.push("a") });
    const b = await joined("b");
    await a.claim("a", [1, 2]);
    expect(await b.claim("b", [1, 2])).toEqual([]);
    await b.release("b", [1]); // it is not b's to give
    changes.length = 0;
    await a.release("a", [2]);
    expect(changes).toEqual(["a"]);
    expect(await b.claim("b", [1, 2])).toEqual([2]);
    expect(await seenBy(a, "a")).toMatchObject({
      owners: [
        [1, "a"],
        [2, "b"],
      ],
    });
  });

  test("a claim leaves the floor of a shard's fencing tokens as it is", async () => {
    await tables.query("insert into @shard (hub, shard, token) values (1, 7, 42)");
    const a = await joined("a");
    expect(await a.claim("a", [7])).toEqual([7]);
    await a.release("a", [7]);
    expect(await tables.query("select token, owner from @shard where shard = 7")).toEqual([[42, null]]);
  });

  test("eight workers that claim all shards at once get each shard once", async () => {
    const ids = ["a", "b", "c", "d", "e", "f", "g", "h"];
    const workers = await Promise.all(ids.map(async (id) => ({ id, leases: await joined(id) })));
    const claimed = await Promise.all(
      workers.map(async ({ id, leases }, place) => {
        const shards = [...ALL.slice(place * 32), ...ALL.slice(0, place * 32)];
        const parts = [0, 1, 2, 3].map((part) => shards.slice(part * 64, part * 64 + 64));
        return (await Promise.all(parts.map((part) => leases.claim(id, part)))).flat();
      }),
    );
    expect(claimed.flat().sort((one, other) => one - other)).toEqual(ALL);
    const owners = ids.flatMap((id, place) => (claimed[place] ?? []).map((shard) => [shard, id] as const));
    for (const { id, leases } of workers) {
      expect((await leases.renew(id)).owners).toEqual(new Map(owners));
    }
  });

  test("who leaves is gone at once, and its shards are free", async () => {
    const [a, b] = [await joined("a"), await joined("b")];
    await a.claim("a", ALL);
    await a.leave("a");
    expect(await seenBy(b, "b")).toEqual({ workers: ["b"], owners: [] });
    expect(await b.claim("b", ALL)).toEqual(ALL);
    expect(await newSession().isFree("a")).toBe(true);
    await expect(a.renew("a")).rejects.toThrow("without having joined");
  });

  test("who drains is shown so to others, also after it was taken for dead", async () => {
    const [a, b] = [await joined("a"), await joined("b")];
    await a.drain("a");
    const expected = [
      { id: "a", draining: true },
      { id: "b", draining: false },
    ];
    expect(byId((await b.renew("b")).workers)).toEqual(expected);
    expect((await shownWorkers(tables.query, HUB)).map(({ draining }) => draining)).toEqual([
      true,
      undefined,
    ]);
    await tables.query("delete from @worker where id = 'a'");
    expect(byId((await a.renew("a")).workers)).toEqual(expected);
  });

  test("a worker that another process tells to drain remembers it", async () => {
    const [a, b] = [await joined("a"), await joined("b")];
    await b.drain("a");
    await a.renew("a");
    await tables.query("delete from @worker where id = 'a'");
    expect((await a.renew("a")).workers).toContainEqual({ id: "a", draining: true });
  });

  test("where sessions cannot be kept, a worker is dead when its lease has ended, and not before", async () => {
    const a = await joined("a", { locks: undefined });
    const b = await joined("b", { locks: undefined });
    await a.claim("a", [1, 2]);
    await setBack("a", LATE);
    expect(await seenBy(b, "b")).toMatchObject({ workers: ["a", "b"] });
    expect(await b.claim("b", [1, 2])).toEqual([]);
    await endLease("a");
    expect(await seenBy(b, "b")).toEqual({ workers: ["b"], owners: [] });
    expect(await shownWorkers(tables.query, HUB)).toHaveLength(1);
    expect(await b.claim("b", [2])).toEqual([2]);
  });

  test("a worker whose lease has ended joins again by renewing, without the shards that it had", async () => {
    const [a, b] = [await joined("a"), await joined("b")];
    await a.claim("a", [1, 2]);
    await endLease("a");
    expect(await a.claim("a", [3])).toEqual([]);
    await b.claim("b", [2]);
    expect(await seenBy(a, "a")).toEqual({ workers: ["a", "b"], owners: [[2, "b"]] });
    expect(await a.claim("a", [1, 2])).toEqual([1]);
  });

  test("a late worker whose session lives is late, and no more", async () => {
    const [a, b] = [await joined("a"), await joined("b")];
    await a.claim("a", [1]);
    await setBack("a", LATE);
    expect(await seenBy(b, "b")).toEqual({ workers: ["a", "b"], owners: [[1, "a"]] });
    const lateOnes = (await b.renew("b")).workers.filter(({ late }) => late === true);
    expect(lateOnes.map(({ id }) => id)).toEqual(["a"]); // it is given nothing new
  });

  test("a late worker whose session is gone is dead before its lease has ended", async () => {
    const changes: string[] = [];
    const [a, b] = [await joined("a"), await joined("b", { ...SOON, changed: () => changes.push("b") })];
    await a.claim("a", [1]);
    await killSessionOf("a");
    changes.length = 0;
    await setBack("a", LATE);
    await expect.poll(() => seenBy(b, "b")).toEqual({ workers: ["b"], owners: [] });
    expect(changes).toEqual(["b"]);
    expect(await b.claim("b", [1])).toEqual([1]);
    expect(await seenBy(a, "a")).toEqual({ workers: ["a", "b"], owners: [[1, "b"]] });
  });

  test("a worker whose session is gone is alive as long as it renews in time", async () => {
    const a = await joined("a");
    const b = await joined("b", { ...SOON, locks: standing(newSession(), LONG) });
    await killSessionOf("a");
    await setBack("a", "renewed_at = clock_timestamp() + interval '1 second'");
    expect(await seenBy(b, "b")).toMatchObject({ workers: ["a", "b"] });
    expect(a.leaseMs).toBe(10_000);
  });

  test("a worker that has not renewed since the server started is dead when its lease has ended", async () => {
    const a = await joined("a");
    const b = await joined("b", { ...SOON, locks: standing(newSession(), LONG) });
    await a.claim("a", [1]);
    await killSessionOf("a");
    await setBack("a", "renewed_at = pg_postmaster_start_time() - interval '1 millisecond'");
    expect(await seenBy(b, "b")).toEqual({ workers: ["a", "b"], owners: [[1, "a"]] });
    await setBack("a", "renewed_at = pg_postmaster_start_time() + interval '1 millisecond'");
    expect(await seenBy(b, "b")).toEqual({ workers: ["b"], owners: [] });
  });

  test("whoever lost his own session takes nobody for dead until the others have had time to come back", async () => {
    const a = await joined("a");
    const session = newSession("b");
    const soon = { forMs: 0, anew: false };
    const b = await joined("b", { ...SOON, locks: standing(session, soon) });
    await a.claim("a", [1]);
    const alive = { workers: ["a", "b"], owners: [[1, "a"]] };
    await killSessionOf("a");
    await setBack("a", LATE);
    expect(await seenBy(b, "b")).toEqual(alive);
    Object.assign(soon, { forMs: 74 });
    expect(await seenBy(b, "b")).toEqual(alive);
    Object.assign(soon, { forMs: 75, anew: true });
    expect(await seenBy(b, "b")).toEqual(alive);
    Object.assign(soon, { forMs: 75 + COMING_BACK_MS });
    expect(await seenBy(b, "b")).toEqual({ workers: ["b"], owners: [] });
  });

  test("a lock session tells for how long it stands, and that one before it was lost", async () => {
    const session = newSession("a");
    expect(session.standing).toEqual({ forMs: 0, anew: false });
    await session.hold("key");
    expect(session.standing.forMs).toBeGreaterThan(0);
    expect(session.standing.anew).toBe(false);
    await killSessionOf("a");
    await expect.poll(() => session.standing).toEqual({ forMs: 0, anew: true });
    await session.hold("key");
    expect(session.standing.forMs).toBeGreaterThan(0);
    expect(session.standing.anew).toBe(true);
  });

  test("a renewal does not wait for a session that has become silent", async () => {
    const changes: string[] = [];
    const a = await joined("a");
    const silence = new Gate();
    const b = await joined("b", {
      ...SOON,
      locks: standing(newSession(), LONG, () => silence.pass()),
      changed: () => changes.push("b"),
    });
    await killSessionOf("a");
    await setBack("a", LATE);
    expect(await seenBy(b, "b")).toMatchObject({ workers: ["a", "b"] });
    expect(await seenBy(b, "b")).toMatchObject({ workers: ["a", "b"] });
    changes.length = 0;
    silence.open();
    await expect.poll(() => changes).toEqual(["b"]); // somebody is to look again
    expect(await seenBy(b, "b")).toMatchObject({ workers: ["b"] });
    expect(a.leaseMs).toBe(10_000);
  });

  test("a lock that its own session holds is not free, whoever's session that is", async () => {
    // As through a proxy that lends one session of the server to two processes.
    await using shared = await connect();
    const lent = Object.assign(new Client(), {
      connect: () => Promise.resolve(),
      query: shared.query.bind(shared),
      end: () => Promise.resolve(),
    });
    const one = new PostgresLockSession(() => lent, "store");
    const other = new PostgresLockSession(() => lent, "store");
    await one.hold("key");
    expect(await other.isFree("key")).toBe(false);
    await one.release("key");
    expect(await other.isFree("key")).toBe(true);
  });

  test("a session that is none all of a sudden is refused, with what to do", async () => {
    await using first = await connect();
    await using second = await connect();
    let now = first;
    const lent = Object.assign(new Client(), {
      connect: () => Promise.resolve(),
      query: (...args: Parameters<typeof first.query>) => now.query(...args),
      end: () => Promise.resolve(),
    });
    const session = new PostgresLockSession(() => lent, "postgres://host/db/tenure");
    await session.hold("key");
    now = second;
    await expect(session.hold("other")).rejects.toThrow("?pooled=true");
  });

  test("a worker that has lost its session holds its lock in a new one after its next renewal", async () => {
    const a = await joined("a");
    const observer = newSession();
    await killSessionOf("a");
    expect(await observer.isFree("a")).toBe(true);
    await expect
      .poll(async () => {
        await a.renew("a");
        return observer.isFree("a");
      })
      .toBe(false);
  });

  test("two workers of one session do not take each other for dead", async () => {
    const session = newSession();
    const [a] = [await joined("a", { locks: session }), await joined("b", { locks: session })];
    await setBack("b", LATE);
    expect(await seenBy(a, "a")).toMatchObject({ workers: ["a", "b"] });
  });

  test("who cannot ask for a lock takes nobody for dead before the lease ends", async () => {
    const nowhere = new PostgresLockSession(
      () => new Client({ connectionString: "postgres://127.0.0.1:1/none", connectionTimeoutMillis: 500 }),
      "store",
    );
    sessions.push(nowhere);
    const a = await joined("a", { locks: undefined });
    const b = await joined("b", { locks: { ...standing(nowhere, LONG), hold: () => Promise.resolve() } });
    await setBack("a", LATE);
    expect(await seenBy(b, "b")).toMatchObject({ workers: ["a", "b"] });
    expect(a.leaseMs).toBe(10_000);
  });

  test("the rows of workers that died long ago go when another joins", async () => {
    await joined("a");
    await joined("b");
    await setBack("a", "lease_until = clock_timestamp() - interval '1 day'");
    await setBack("b", "lease_until = clock_timestamp() - interval '1 minute'");
    await joined("c");
    expect(await tables.query("select id from @worker order by id")).toEqual([["b"], ["c"]]);
  });

  test("a lock session releases what it held when it is closed", async () => {
    const [one, other] = [newSession(), newSession()];
    await one.hold("key");
    await one.hold("key");
    expect(await one.isFree("key")).toBe(false);
    expect(await other.isFree("key")).toBe(false);
    await one.release("key");
    expect(await other.isFree("key")).toBe(true);
    await one.hold("key");
    await one.close();
    expect(await other.isFree("key")).toBe(true);
    await expect(one.hold("key")).rejects.toThrow("closed");
  });

  async function joined(id: string, parts: JoinParts = {}): Promise<PostgresLeases> {
    const leases = new PostgresLeases({
      query: tables.query,
      hub: HUB,
      locks: newSession(id),
      ...parts,
    });
    await leases.join(infoOf(id));
    return leases;
  }

  function newSession(id = "observer"): PostgresLockSession {
    const session = new PostgresLockSession(
      () => new Client({ connectionString: postgresUrl, application_name: nameOf(id), query_timeout: 5_000 }),
      "store",
    );
    sessions.push(session);
    return session;
  }

  function nameOf(id: string): string {
    return `${tables.schema} ${id}`;
  }

  /** Ends the connection, and waits until the server has let go of its locks. */
  async function killSessionOf(id: string): Promise<void> {
    await using client = await connect();
    const { rows } = await client.query<{ killed: boolean }>(
      "select pg_terminate_backend(pid, 5000) as killed from pg_stat_activity where application_name = $1",
      [nameOf(id)],
    );
    expect(rows).toEqual([{ killed: true }]);
  }

  function endLease(id: string): Promise<unknown> {
    return setBack(id, "lease_until = clock_timestamp()");
  }

  function setBack(id: string, change: string): Promise<unknown> {
    return tables.query(`update @worker set ${change} where id = $1`, [id]);
  }

  async function seenBy(leases: PostgresLeases, id: string): Promise<{ workers: string[]; owners: unknown }> {
    const { workers, owners } = await leases.renew(id);
    return {
      workers: workers.map((worker) => worker.id).sort(),
      owners: [...owners].sort(([one], [other]) => one - other),
    };
  }
});

type JoinParts = Partial<Omit<LeaseParts, "query">>;

function infoOf(id: string) {
  return {
    id,
    host: "host-1",
    pid: 4711,
    sinceMs: 1_700_000_000_000,
    orchestrations: ["Order", "Bestellung ä"],
    activities: ["charge"],
  };
}

function byId<T extends { readonly id: string }>(workers: readonly T[]): T[] {
  return workers.toSorted((one, other) => (one.id < other.id ? -1 : 1));
}

/** Since the server started, which may be only seconds ago. */
const LATE =
  "renewed_at = greatest(renewed_at - interval '5 seconds', pg_postmaster_start_time() + interval '1 millisecond')";

/** With little patience. */
const SOON: JoinParts = { times: { renewMs: 50, lateMs: 75 } };

const LONG: Standing = { forMs: Infinity, anew: false };

/** The session, as if it had stood for so long; it answers once `silence` is over. */
function standing(
  session: LockSession,
  standing: Standing,
  silence: () => Promise<void> = () => Promise.resolve(),
): LockSession {
  return {
    standing,
    hold: (key) => session.hold(key),
    isFree: async (key) => {
      await silence();
      return session.isFree(key);
    },
    release: (key) => session.release(key),
  };
}

/** A door that somebody waits at. */
class Gate {
  readonly #opened: Promise<void>;
  open: () => void = () => {};

  constructor() {
    this.#opened = new Promise((resolve) => {
      this.open = resolve;
    });
  }

  pass(): Promise<void> {
    return this.#opened;
  }
}
