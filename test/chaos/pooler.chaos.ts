import { expect, test } from "vitest";
import { OwnServer } from "./own-server.js";
import { Pooler, poolerProgram } from "./pooler.js";
import { Storm } from "./storm.js";

// Debian: apt-get install -y pgbouncer
const program = poolerProgram();

test("processes killed, behind a proxy that pools transactions, for 45 s", async ({ skip }) => {
  if (program === undefined) return skip("there is no pgbouncer on the PATH");
  await using server = await OwnServer.start();
  await using pooler = await Pooler.start(program, server);
  await using storm = await Storm.begin({
    fault: "SIGKILL behind pgbouncer",
    server: pooler.url,
    parameters: { pooled: "true" },
  });
  await storm.rage(45_000, [4000, 8000], () => storm.killOne());
  const { broken } = await storm.settle();
  expect(broken).toEqual([]);
});

test("the proxy itself restarts every 2 to 5 s for 45 s", async ({ skip }) => {
  if (program === undefined) return skip("there is no pgbouncer on the PATH");
  await using server = await OwnServer.start();
  await using pooler = await Pooler.start(program, server);
  await using storm = await Storm.begin({
    fault: "pgbouncer restarts",
    server: pooler.url,
    parameters: { pooled: "true" },
  });
  await storm.rage(45_000, [2000, 5000], async () => {
    await pooler.restart();
    return true;
  });
  const { broken } = await storm.settle();
  expect(broken).toEqual([]);
});
