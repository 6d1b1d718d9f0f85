// How long the shards of a process that goes are nobody's: the bounds that docs/postgres.md promises.
import { writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { TaskHub, type TaskHubConnection } from "../../src/index.js";
import { type Member, SharedHub, until } from "../postgres/members.js";
import { OwnServer } from "./own-server.js";
import { Pooler, poolerProgram } from "./pooler.js";
import { between } from "./storm.js";

const SHARDS = 256;
const TIMES = 5;

const program = poolerProgram();

interface Way {
  /** For the line that is printed. */
  readonly name: string;
  readonly url: string;
  readonly parameters?: Readonly<Record<string, string>>;
  readonly go: (member: Member) => Promise<void>;
}

/** The longest time, of several, from the going of one of two processes until the other one holds every shard. */
async function longestGap({ name, url, parameters, go }: Way): Promise<number> {
  await using hub = new SharedHub(url, parameters);
  const connection = await TaskHub.connect({ store: hub.url });
  try {
    const [staying] = await hub.start(1);
    let longest = 0;
    for (let time = 0; time < TIMES; time++) {
      const [going] = await hub.start(1);
      if (going === undefined || staying === undefined) throw new Error("two were asked for");
      const before = await until(async () => {
        const held = await shardsOf(connection, going);
        return held > 0 && held + (await shardsOf(connection, staying)) === SHARDS ? held : undefined;
      });
      expect(before, "shards of the one that goes: without any this shows nothing").toBeGreaterThan(0);
      await sleep(between(0, 1500)); // at whatever moment between two renewals
      const beganMs = performance.now();
      await go(going);
      await until(async () => ((await shardsOf(connection, staying)) === SHARDS ? true : undefined));
      longest = Math.max(longest, performance.now() - beganMs);
      await going.kill();
    }
    writeSync(1, `takeover, ${name}: ${(longest / 1000).toFixed(2)} s at most, of ${TIMES}\n`);
    return longest;
  } finally {
    await connection.close();
  }
}

async function shardsOf({ client }: TaskHubConnection, { worker }: Member): Promise<number> {
  return (await client.listWorkers()).find(({ id }) => id === worker)?.shards ?? 0;
}

const kill = (member: Member): Promise<void> => member.kill();

/** As a host that is gone: its sessions stay, and it says nothing. */
const vanish = async (member: Member): Promise<void> => member.pause();

test("ended as a deploy does: < 1 s", async () => {
  await using server = await OwnServer.start();
  const way = { name: "SIGTERM", url: server.url, go: (member: Member) => member.close() };
  expect(await longestGap(way)).toBeLessThan(1000);
});

test("killed, on direct connections: <= 3 s", async () => {
  await using server = await OwnServer.start();
  expect(await longestGap({ name: "SIGKILL", url: server.url, go: kill })).toBeLessThanOrEqual(3000);
});

test("gone without a word, its sessions still there: <= 15 s", async () => {
  await using server = await OwnServer.start();
  expect(await longestGap({ name: "host lost", url: server.url, go: vanish })).toBeLessThanOrEqual(15_000);
});

test("killed, behind a proxy that pools transactions: <= 15 s", async ({ skip }) => {
  if (program === undefined) return skip("there is no pgbouncer on the PATH");
  await using server = await OwnServer.start();
  await using pooler = await Pooler.start(program, server);
  const way = {
    name: "SIGKILL behind a proxy",
    url: pooler.url,
    parameters: { pooled: "true" },
    go: kill,
  };
  expect(await longestGap(way)).toBeLessThanOrEqual(15_000);
});

test("killed, behind a proxy, with leases of 3 s in the URL: <= 5 s", async ({ skip }) => {
  if (program === undefined) return skip("there is no pgbouncer on the PATH");
  await using server = await OwnServer.start();
  await using pooler = await Pooler.start(program, server);
  const way = {
    name: "SIGKILL behind a proxy, leaseMs=3000",
    url: pooler.url,
    parameters: { pooled: "true", leaseMs: "3000" },
    go: kill,
  };
  expect(await longestGap(way)).toBeLessThanOrEqual(5000);
});
