import { once } from "node:events";
import { connect as connectTo, createServer, type Server } from "node:net";
import { Pool } from "pg";
import { afterEach, describe, expect, test } from "vitest";
import { OwnServer } from "../../../test/chaos/own-server.js";
import { Pooler, poolerProgram } from "../../../test/chaos/pooler.js";
import { connect, dropSchema, freshSchema, postgresUrl, storeUrl } from "../../../test/postgres-schema.js";
import { StoreUnusableError } from "../../core/errors.js";
import { capabilitiesOf } from "./capabilities.js";
import { Database, type DatabaseOptions } from "./database.js";
import { openPostgresStore } from "./store.js";

const WAYS = ["directly connected", "pooled", "on the application's pool"] as const;

describe.skipIf(postgresUrl === undefined).each(WAYS)("the database, %s", (way) => {
  const closing: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).toReversed()) await close();
  });

  test("is reached over another connection when the one there is has become silent", async () => {
    const line = await Line.open(postgresUrl ?? "");
    closing.push(() => line.close());
    const database = await opened(line.url, { silenceMs: 250 });
    const asked = [
      () => database.read("select 1::int"),
      () => database.lease("select 1::int"),
      () => database.statement("turns", "select 1::int"),
      () => database.transaction("commands", (query) => query("select 1::int")),
    ];
    for (const ask of asked) expect(await ask()).toEqual([[1]]);
    line.mute();
    for (const ask of asked) expect(await ask()).toEqual([[1]]);
    expect(line.muted).toBeGreaterThan(0);
  });

  test("renews leases also while reads have all connections that they may have, and wait", async () => {
    const database = await opened(postgresUrl ?? "", {});
    await using holder = await connect();
    await holder.query("begin; select pg_advisory_xact_lock(4711)");
    let waiting = 8;
    const reads = Array.from({ length: waiting }, async () => {
      await database.read("select pg_advisory_xact_lock_shared(4711)::text");
      waiting -= 1;
    });
    expect(await database.lease("select 1::int")).toEqual([[1]]);
    expect(await database.statement("turns", "select 2::int")).toEqual([[2]]);
    expect(await database.statement("commands", "select 3::int")).toEqual([[3]]);
    expect(waiting).toBe(8);
    await holder.query("commit");
    await Promise.all(reads);
    expect(waiting).toBe(0);
  });

  test("waits once for a host that is gone, and not on each of its connections", async () => {
    const line = await Line.open(postgresUrl ?? "");
    closing.push(() => line.close());
    const database = await opened(line.url, { silenceMs: 250 });
    await Promise.all(Array.from({ length: 4 }, () => database.read("select pg_sleep(0.1)::text")));
    const renew = () => database.lease("select 1::int");
    await renew();
    line.mute();
    await renew();
    const tripsBefore = database.roundTrips;
    await Promise.all(Array.from({ length: 4 }, () => database.read("select 1::int")));
    await database.statement("turns", "select 1::int");
    expect(database.roundTrips - tripsBefore).toBe(way === "directly connected" ? 5 : 7);
  });

  async function opened(
    connectionString: string,
    options: Pick<DatabaseOptions, "silenceMs">,
  ): Promise<Database> {
    const pooled = way !== "directly connected";
    const pool = way === "on the application's pool" ? new Pool({ connectionString, max: 5 }) : undefined;
    pool?.on("error", () => {});
    if (pool !== undefined) closing.push(() => pool.end());
    const database = await Database.open({
      ...options,
      ...(pool === undefined ? { connectionString } : { pool }),
      schema: "unused",
      pooled,
      description: "the database",
      capabilities: capabilitiesOf(pooled),
    });
    closing.push(() => database.close());
    return database;
  }
});

describe.skipIf(postgresUrl === undefined)("an application's pool", () => {
  test("of a single connection does", async () => {
    const schema = freshSchema();
    const pool = new Pool({ connectionString: postgresUrl, max: 1 });
    const store = await openPostgresStore({ pool, schema });
    try {
      const info = { id: "a", host: "h", pid: 1, sinceMs: 1, orchestrations: [], activities: [] };
      await store.join(info);
      const [membership, shown] = await Promise.all([store.leases.renew("a"), store.workers()]);
      expect(membership.workers).toEqual([{ id: "a", draining: false }]);
      expect(shown).toHaveLength(1);
    } finally {
      await store.close();
      await pool.end();
      await dropSchema(schema);
    }
  });

  test("whose connections the application has all taken is waited for in vain, and used once there is one", async () => {
    const pool = new Pool({ connectionString: postgresUrl, max: 1 });
    const database = await Database.open({
      pool,
      schema: "unused",
      pooled: true,
      description: "the database",
      capabilities: capabilitiesOf(true),
      silenceMs: 100,
    });
    try {
      const client = await pool.connect();
      await expect(database.lease("select 1::int")).rejects.toThrow("no connection");
      client.release();
      expect(await database.lease("select 1::int")).toEqual([[1]]);
      await expect.poll(() => pool.idleCount).toBe(1); // what came too late was given back
    } finally {
      await database.close();
      await pool.end();
    }
  });
});

const program = poolerProgram();

describe.skipIf(postgresUrl === undefined)("a proxy that pools transactions", () => {
  test.skipIf(program === undefined)(
    "is refused where sessions are needed, with what to do",
    async () => {
      await using server = await OwnServer.start();
      await using pooler = await Pooler.start(program ?? "", server);
      const opening = openPostgresStore({ url: pooler.url });
      await expect(opening).rejects.toThrow(StoreUnusableError);
      await expect(opening).rejects.toThrow(/a proxy that pools transactions .* \?pooled=true/);
      const store = await openPostgresStore({ url: `${pooler.url}?pooled=true` });
      await store.close();
    },
    60_000,
  );

  test("is not seen in the server itself", async () => {
    const schema = freshSchema();
    const stores = await Promise.all([1, 2, 3].map(() => openPostgresStore({ url: storeUrl(schema) })));
    expect(stores.map(({ description }) => description.endsWith(schema))).toEqual([true, true, true]);
    await Promise.all(stores.map((store) => store.close()));
    await dropSchema(schema);
  });
});

/** The way to a server, on which a host can be gone without a word: its connections stay, and nothing comes of them. */
class Line {
  readonly url: string;
  /** How many connections were muted. */
  muted = 0;
  readonly #server: Server;
  readonly #ends = new Set<() => void>();
  readonly #mutes = new Set<() => void>();

  private constructor(url: string, server: Server) {
    this.url = url;
    this.#server = server;
  }

  static async open(to: string): Promise<Line> {
    const target = new URL(to);
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    const url = new URL(to);
    url.host = `127.0.0.1:${address.port}`;
    const line = new Line(url.href, server);
    server.on("connection", (client) => {
      const upstream = connectTo(Number(target.port || 5432), target.hostname);
      let heard = true;
      client.on("data", (data) => heard && upstream.write(data));
      upstream.on("data", (data) => heard && client.write(data));
      client.on("error", () => {}).on("close", () => upstream.destroy());
      upstream.on("error", () => {}).on("close", () => heard && client.destroy());
      line.#mutes.add(() => {
        heard = false;
      });
      line.#ends.add(() => {
        client.destroy();
      });
    });
    return line;
  }

  /** All connections that there are say nothing from now on; new ones are as they should be. */
  mute(): void {
    for (const mute of this.#mutes) mute();
    this.muted += this.#mutes.size;
    this.#mutes.clear();
  }

  async close(): Promise<void> {
    for (const end of this.#ends) end();
    this.#server.close();
    await once(this.#server, "close");
  }
}
