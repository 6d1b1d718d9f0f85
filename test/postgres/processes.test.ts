// Several processes on one hub, each with an engine and a client, and what becomes of their work when one of
// them is killed, stopped, or ends.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { ownersOf } from "../../src/core/shard.js";
import { TaskHub, type TaskHubConnection } from "../../src/index.js";
import { postgresUrl } from "../postgres-schema.js";
import { fallenTokens, miscounts } from "./counted.js";
import { type Member, SharedHub, type StartAnswer, until } from "./members.js";

const server = postgresUrl ?? "";

/** As short as leases can sensibly be: the tests wait for them to end. */
const SHORT_LEASES = { leaseTimes: { leaseMs: 1500, renewMs: 300, lateMs: 600 } };

function ids(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}-${index}`);
}

/** Once the hub's shards are held by exactly these, each its part: nothing moves any more. */
async function shared(by: readonly Member[], asked: Member | undefined = by[0]): Promise<void> {
  const parts = new Map<string, number>();
  for (const owner of ownersOf(by.map(({ worker }) => worker))) parts.set(owner, (parts.get(owner) ?? 0) + 1);
  await until(async () => {
    const workers = (await asked?.workers()) ?? [];
    const held = workers.filter(({ shards }) => shards > 0);
    const isShared = held.length === parts.size && held.every(({ id, shards }) => parts.get(id) === shards);
    return isShared ? true : undefined;
  });
}

async function allCompleted(asked: Member, jobs: readonly string[]): Promise<void> {
  const ended = await asked.waitAll(jobs);
  expect(ended.filter(({ runtimeStatus }) => runtimeStatus !== "Completed")).toEqual([]);
  expect(ended).toHaveLength(jobs.length);
}

describe.skipIf(postgresUrl === undefined)("three processes on one hub", () => {
  let hub: SharedHub;
  let members: Member[];
  let connection: TaskHubConnection;

  beforeAll(async () => {
    hub = new SharedHub(server);
    members = await hub.start(3);
    connection = await TaskHub.connect({ store: hub.url });
    await shared(members);
  });

  afterAll(async () => {
    await connection.close();
    await hub[Symbol.asyncDispose]();
  });

  test("each hold a fair part of the shards, and each run a part of the work", async () => {
    const [a] = members;
    const workers = (await a?.workers()) ?? [];
    for (const { shards } of workers) expect(shards).toBeGreaterThan(256 / 3 / 2);
    const jobs = ids("spread", 60);
    await a?.startAll(jobs);
    if (a !== undefined) await allCompleted(a, jobs);
    const ran = new Set(hub.witness.read().map(({ pid }) => pid));
    expect(ran).toEqual(new Set(members.map(({ pid }) => pid)));
  });

  test("answer, each of them, for any instance: start, event, wait and child, whoever runs it", async () => {
    const inputs = { steps: 1, note: true, child: true, pauseMs: 20 };
    const crowds = members.map((member, index) => ({ member, jobs: ids(`any-${index}`, 20) }));
    await Promise.all(crowds.map(({ member, jobs }) => member.startAll(jobs, { input: inputs })));
    await Promise.all(
      crowds.map(async ({ jobs }, index) => {
        // Not the one that started them.
        const [other, third] = [members[(index + 1) % 3], members[(index + 2) % 3]];
        await other?.raise(jobs, "note", "noted");
        if (third !== undefined) await allCompleted(third, jobs);
      }),
    );
    const jobs = crowds.flatMap((crowd) => crowd.jobs);
    expect(await miscounts(connection.client, jobs, hub.witness.read())).toEqual([]);
    for (const { member, jobs: own } of crowds) {
      const elsewhere = hub.witness
        .read()
        .filter(({ instanceId, pid }) => own.includes(instanceId) && pid !== member.pid);
      expect(elsewhere.length).toBeGreaterThan(0);
    }
  });
});

describe.skipIf(postgresUrl === undefined)("four processes that start the same 100 IDs", () => {
  let hub: SharedHub;
  let members: Member[];

  beforeAll(async () => {
    hub = new SharedHub(server);
    members = await hub.start(4);
    await shared(members);
  });

  afterAll(async () => {
    await hub[Symbol.asyncDispose]();
  });

  async function race(prefix: string, options: { ifLive?: string; ifEnded?: string }, name = "hold") {
    const raced = ids(prefix, 100);
    const told = await Promise.all(members.map((member) => member.startAll(raced, { name, ...options })));
    return raced.map((id) => told.flat().filter(({ instanceId }) => instanceId === id));
  }

  /** Brings IDs to an end that can be started over. */
  async function used(prefix: string): Promise<void> {
    const raced = ids(prefix, 100);
    await members[0]?.startAll(raced, { name: "hold" });
    await members[1]?.raise(raced, "end");
    await members[2]?.waitAll(raced);
  }

  test.for([
    ["reject", "refused", false],
    ["attach", "attached", false],
    ["reject", "refused", true],
    ["attach", "attached", true],
  ] as const)(
    "%s: one has started each, the others are %s; used before: %s",
    async ([ifLive, loser, again]) => {
      const prefix = `${ifLive}-${again}`;
      if (again) await used(prefix);
      for (const told of await race(prefix, { ifLive })) {
        const winners = told.filter(({ outcome }) => outcome === "started");
        expect(winners).toHaveLength(1);
        expect(told.filter(({ outcome }) => outcome === loser)).toHaveLength(3);
        // The losers are told the truth.
        expect(new Set(told.map(({ executionId }) => executionId)).size).toBe(1);
        expect(winners[0]?.run).toBe(again ? 2 : 1);
      }
    },
  );

  test.for([
    ["reject", "refused"],
    ["return", "returned"],
  ] as const)("ended IDs that are not to start again (%s): nobody starts one", async ([ifEnded, outcome]) => {
    await used(`ended-${ifEnded}`);
    for (const told of await race(`ended-${ifEnded}`, { ifEnded })) {
      expect(told.map((answer) => answer.outcome)).toEqual([outcome, outcome, outcome, outcome]);
      expect(new Set(told.map(({ executionId, run }) => `${executionId} ${run}`)).size).toBe(1);
    }
  });

  test("terminate: each replaces the one before it, and every run is somebody's", async () => {
    for (const told of await race("replace", { ifLive: "terminate" })) {
      const runs = told.toSorted((a: StartAnswer, b: StartAnswer) => a.run - b.run);
      expect(runs.map(({ run }) => run)).toEqual([1, 2, 3, 4]);
      expect(runs.map(({ outcome }) => outcome)).toEqual(["started", "replaced", "replaced", "replaced"]);
      expect(new Set(runs.map(({ executionId }) => executionId)).size).toBe(4);
    }
  });
});

describe.skipIf(postgresUrl === undefined)("a process that goes", () => {
  let hub: SharedHub;
  let connection: TaskHubConnection;

  async function members(): Promise<readonly [Member, Member, Member]> {
    hub = new SharedHub(server);
    const [a, b, c] = await hub.start(3, { store: SHORT_LEASES });
    if (a === undefined || b === undefined || c === undefined) throw new Error("three were asked for");
    connection = await TaskHub.connect({ store: hub.url });
    await shared([a, b, c]);
    return [a, b, c];
  }

  afterEach(async () => {
    await connection.close();
    await hub[Symbol.asyncDispose]();
  });

  /** Jobs long enough that whoever goes leaves some of them half done. */
  const input = { steps: 6, ms: 40, child: true, pauseMs: 50 };

  /** Once this process runs some of them. */
  async function hasBegun(member: Member): Promise<void> {
    await until(async () => (hub.witness.read().some(({ pid }) => pid === member.pid) ? true : undefined));
  }

  test("killed with SIGKILL: the others finish all that it ran, each result counted once", async () => {
    const [a, b, c] = await members();
    const jobs = ids("killed", 90);
    await a.startAll(jobs, { input });
    await hasBegun(b);
    await b.kill();
    await allCompleted(a, jobs);
    await shared([a, c]);
    const testimonies = hub.witness.read();
    expect(await miscounts(connection.client, jobs, testimonies)).toEqual([]);
    expect(fallenTokens(testimonies)).toEqual([]);
  });

  test("ended as a deploy does: it hands its shards over, and no activity runs twice", async () => {
    const [a, b, c] = await members();
    const jobs = ids("stopped", 90);
    await a.startAll(jobs, { input });
    await hasBegun(b);
    await b.close();
    await shared([a, c]);
    await allCompleted(c, jobs);
    const testimonies = hub.witness.read();
    expect(await miscounts(connection.client, jobs, testimonies)).toEqual([]);
    const runs = testimonies.map(({ executionId, taskId }) => `${executionId} ${taskId}`);
    expect(runs.filter((run, index) => runs.indexOf(run) !== index)).toEqual([]);
  });

  test("stopped with SIGSTOP for longer than its lease: what it had decided is refused when it wakes", async () => {
    const [a, b, c] = await members();
    const jobs = ids("paused", 90);
    const [held] = await Promise.all([b.stopsBeforeNextCommit(), a.startAll(jobs, { input })]);
    // Meanwhile the others take over what it had, and end it.
    await allCompleted(a, jobs);
    await shared([a, c], a);
    expect(held.length).toBeGreaterThan(0);
    b.wake();
    await until(async () => (b.refused.length >= held.length ? true : undefined));
    expect(b.refused).toEqual(expect.arrayContaining([...held]));
    expect(await miscounts(connection.client, jobs, hub.witness.read())).toEqual([]);
    // It is one of them again.
    await shared([a, b, c], a);
    const more = ids("after", 60);
    await b.startAll(more);
    await allCompleted(a, more);
    expect(await miscounts(connection.client, more, hub.witness.read())).toEqual([]);
    const ran = hub.witness.read().filter(({ instanceId }) => instanceId.startsWith("after-"));
    expect(new Set(ran.map(({ pid }) => pid))).toEqual(new Set([a.pid, b.pid, c.pid]));
  });

  test("asked to drain: it gives its shards back, and ends what it has begun", async () => {
    const [a, b, c] = await members();
    const jobs = ids("drained", 60);
    await a.startAll(jobs, { input });
    await hasBegun(b);
    await c.drain(b.worker);
    await shared([a, c], a);
    expect((await a.workers()).find(({ id }) => id === b.worker)).toMatchObject({
      draining: true,
      shards: 0,
    });
    await allCompleted(a, jobs);
    const testimonies = hub.witness.read();
    expect(await miscounts(connection.client, jobs, testimonies)).toEqual([]);
    expect(fallenTokens(testimonies)).toEqual([]);
  });
});
