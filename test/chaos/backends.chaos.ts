import { expect, test } from "vitest";
import { OwnServer } from "./own-server.js";
import { Storm } from "./storm.js";

test("connections ended with pg_terminate_backend at random for 60 s", async () => {
  await using server = await OwnServer.start();
  await using storm = await Storm.begin({ fault: "pg_terminate_backend", server: server.url });
  await storm.rage(60_000, [100, 500], async () => {
    const [row] = await server.query(
      `select pg_terminate_backend(pid) as ended from pg_stat_activity
        where application_name = 'tenure' order by random() limit 1`,
    );
    return row?.["ended"] === true;
  });
  const { broken } = await storm.settle();
  expect(broken).toEqual([]);
});
