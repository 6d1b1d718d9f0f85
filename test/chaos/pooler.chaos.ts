import { afterAll, beforeAll, expect, test } from "vitest";
import { OwnServer } from "./own-server.js";
import { Pooler, poolerProgram } from "./pooler.js";
import { Storm } from "./storm.js";

// Debian: apt-get install -y pgbouncer
const program = poolerProgram();
let server: OwnServer;
let pooler: Pooler | undefined;

beforeAll(async () => {
  server = await OwnServer.start();
  if (program !== undefined) pooler = await Pooler.start(program, server);
});

afterAll(async () => {
  await pooler?.[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

test("processes killed, behind a proxy that pools transactions, for 45 s", async ({ skip }) => {
  if (pooler === undefined) return skip("there is no pgbouncer on the PATH");
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
  if (pooler === undefined) return skip("there is no pgbouncer on the PATH");
  const proxy = pooler;
  await using storm = await Storm.begin({
    fault: "pgbouncer restarts",
    server: proxy.url,
    parameters: { pooled: "true" },
  });
  await storm.rage(45_000, [2000, 5000], async () => {
    await proxy.restart();
    return true;
  });
  const { broken } = await storm.settle();
  expect(broken).toEqual([]);
});
