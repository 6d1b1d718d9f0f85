import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { expect, test } from "vitest";
import { OwnServer } from "./own-server.js";
import { Storm } from "./storm.js";

const MAX_CONNECTIONS = 60;
const IN_THE_WAY = "in the way";

/** How long nobody else gets a connection, once all are taken; and how long it may take until they are. */
const HELD_MS = 5000;
const PATIENCE_MS = 30_000;

test("others take every connection of the server, again and again for 5 s", async () => {
  await using server = await OwnServer.start({
    settings: [`max_connections=${MAX_CONNECTIONS}`, "superuser_reserved_connections=0"],
  });
  await using storm = await Storm.begin({ fault: "connections exhausted", server: server.url });
  await storm.rage(45_000, [4000, 6000], () => exhaust(server.url));
  const { broken } = await storm.settle();
  expect(broken).toEqual([]);
});

/** What the server says to whoever comes when all places are taken. */
const TOO_MANY = "53300";

/** Ends everybody's connections and takes their places for a while. @returns whether all were taken. */
async function exhaust(url: string): Promise<boolean> {
  let fullMs: number | undefined;
  const taken: pg.Client[] = [];
  const giveUpMs = performance.now() + PATIENCE_MS;
  while (performance.now() < (fullMs === undefined ? giveUpMs : fullMs + HELD_MS)) {
    const client = new pg.Client({ connectionString: url, application_name: IN_THE_WAY });
    client.on("error", () => {}); // it is there to be in the way, whatever becomes of it
    try {
      await client.connect();
      taken.push(client);
      await client.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'client backend'
          and application_name <> $1 limit 5`,
        [IN_THE_WAY],
      );
    } catch (error) {
      const isFull = error instanceof pg.DatabaseError && error.code === TOO_MANY;
      if (isFull && taken.length >= MAX_CONNECTIONS / 2) fullMs ??= performance.now();
      await client.end().catch(() => {});
      await sleep(50); // all are taken
    }
  }
  await Promise.all(taken.map((client) => client.end().catch(() => {})));
  return fullMs !== undefined;
}
