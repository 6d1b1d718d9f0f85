import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { OwnServer } from "./own-server.js";
import { Storm } from "./storm.js";

let server: OwnServer;
let administrator: pg.Client;

beforeAll(async () => {
  server = await OwnServer.start();
  administrator = new pg.Client({ connectionString: server.url });
  await administrator.connect();
});

afterAll(async () => {
  await administrator.end();
  await server[Symbol.asyncDispose]();
});

test("connections ended with pg_terminate_backend at random for 60 s", async () => {
  await using storm = await Storm.begin({ fault: "pg_terminate_backend", server: server.url });
  await storm.rage(60_000, [100, 500], async () => {
    const { rows } = await administrator.query<{ ended: boolean }>(
      `select pg_terminate_backend(pid) as ended from pg_stat_activity
        where application_name = 'tenure' order by random() limit 1`,
    );
    return rows[0]?.ended === true;
  });
  const { broken } = await storm.settle();
  expect(broken).toEqual([]);
});
