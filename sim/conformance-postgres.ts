import { randomBytes } from "node:crypto";
import pg from "pg";
import type { Store } from "../src/core/store.js";
import type { OpenStore } from "../src/stores/conformance/index.js";
import { openPostgresStore } from "../src/stores/postgres/store.js";

/** PostgreSQL for the conformance suite, until it is disposed of. */
export interface PostgresForConformance extends AsyncDisposable {
  readonly open: OpenStore;
}

/** One schema for all cases: hubs have nothing to do with each other, and those of a case that is over are renamed. */
export async function postgresForConformance(server: string): Promise<PostgresForConformance> {
  const schema = `mutant_${randomBytes(6).toString("hex")}`;
  const url = new URL(server);
  url.searchParams.set("schema", schema);
  const admin = new pg.Client({ connectionString: server });
  await admin.connect();
  let cases = 0;
  const open: OpenStore = async ({ taskHub }) => {
    const stores: Store[] = [];
    const closeAll = (): Promise<unknown> => Promise.all(stores.map((store) => store.close()));
    const another = async (hub = taskHub): Promise<Store> => {
      const store = await openPostgresStore({ url: url.href, taskHub: hub });
      stores.push(store);
      return store;
    };
    return {
      store: await another(),
      another,
      reopen: async () => {
        await closeAll();
        return another();
      },
      endLease: async (worker) => {
        await admin.query(`update ${schema}.worker set lease_until = clock_timestamp() where id = $1`, [
          worker,
        ]);
      },
      dispose: async () => {
        await closeAll();
        await admin.query(`update ${schema}.hub set name = $1 || name where name not like '%: %'`, [
          `${++cases}: `,
        ]);
      },
    };
  };
  return {
    open,
    [Symbol.asyncDispose]: async () => {
      await admin.query(`drop schema if exists ${schema} cascade`);
      await admin.end();
    },
  };
}
