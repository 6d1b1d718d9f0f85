import { randomBytes } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, describe, inject, test, vi } from "vitest";
import type { Store } from "../../core/store.js";
import { storeConformance } from "../conformance/index.js";
import type { Capabilities } from "./capabilities.js";
import { openPostgresStore } from "./store.js";

vi.setConfig({ testTimeout: 900_000 });

/** Each race takes its round trips to a server: ten thousand rounds, as for SQLite, are asked for separately. */
const rounds = Number(process.env["TENURE_RACE_ROUNDS"] ?? 1_000);

const server = inject("postgresUrl") ?? "";

const NOTHING: Capabilities = { notify: false, advisoryLocks: false, skipLocked: false };

describe.skipIf(server === "").each([
  { place: "directly connected", parameters: {}, capabilities: {} },
  { place: "as through a pooling proxy", parameters: { pooled: "true" }, capabilities: {} },
  { place: "without anything that other databases lack", parameters: {}, capabilities: NOTHING },
])("the PostgreSQL store $place", ({ parameters, capabilities }) => {
  const schema = `conformance_${randomBytes(6).toString("hex")}`;
  const admin = new pg.Client({ connectionString: server });
  const url = new URL(server === "" ? "postgres://" : server);
  for (const [name, value] of Object.entries({ schema, ...parameters })) url.searchParams.set(name, value);
  let cases = 0;

  beforeAll(async () => {
    await admin.connect();
  });

  storeConformance({
    test,
    rounds,
    // One schema for all cases: hubs have nothing to do with each other, and those of a case that is over go by
    // another name.
    open: async ({ taskHub }) => {
      const stores: Store[] = [];
      const open = async (hub = taskHub): Promise<Store> => {
        const store = await openPostgresStore({ url: url.href, taskHub: hub, capabilities });
        stores.push(store);
        return store;
      };
      return {
        store: await open(),
        another: open,
        reopen: async () => {
          await Promise.all(stores.map((store) => store.close()));
          return open();
        },
        endLease: async (worker) => {
          await admin.query(`update ${schema}.worker set lease_until = clock_timestamp() where id = $1`, [
            worker,
          ]);
        },
        dispose: async () => {
          await Promise.all(stores.map((store) => store.close()));
          await admin.query(`update ${schema}.hub set name = $1 || name where name not like '%: %'`, [
            `${++cases}: `,
          ]);
        },
      };
    },
  });

  afterAll(async () => {
    await admin.query(`drop schema if exists ${schema} cascade`);
    await admin.end();
  });
});
