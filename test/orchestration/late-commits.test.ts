// A commit that is on its way for longer than its worker's lease, and takes effect when another worker has taken over.
import { expect, test } from "vitest";
import type { Leases } from "../../src/core/leases.js";
import { activity, orchestration, TaskHub } from "../../src/index.js";
import { MemoryDatabase } from "../../src/stores/memory/database.js";
import { openMemoryStore } from "../../src/stores/memory/store.js";
import { gate, storeWith } from "./support.js";

const hello = activity("hello", async (_ctx, name: string) => `hello ${name}`);
const job = orchestration("job", async (ctx) => ctx.callActivity(hello, "you"));

test("a commit that takes effect after its instance was taken over and read is gone on with", async () => {
  const database = new MemoryDatabase();
  const options = { database, leases: { now: () => Date.now(), leaseMs: 1000, renewMs: 100 } };
  const sent = gate();
  const arrives = gate();
  const committed = gate();
  const healed = gate();
  let isCutOff = false;
  const inner = openMemoryStore(options);
  const { leases } = inner;
  if (leases === undefined) throw new Error("the store has no leases");
  const renew: Leases["renew"] = async (worker, load) => {
    if (isCutOff) await healed.passed;
    return leases.renew(worker, load);
  };
  const former = await TaskHub.open({
    functions: [job, hello],
    store: storeWith(inner, {
      leases: {
        leaseMs: leases.leaseMs,
        renewMs: leases.renewMs,
        renew,
        claim: (worker, shards) => leases.claim(worker, shards),
        release: (worker, shards) => leases.release(worker, shards),
        drain: (worker) => leases.drain(worker),
      },
      commit: async (turns) => {
        isCutOff = true;
        sent.open();
        await arrives.passed;
        const results = await inner.commit(turns);
        committed.open();
        return results;
      },
    }),
  });
  await former.client.startNew(job, { instanceId: "x", startAt: new Date(Date.now() + 5) });
  await sent.passed;
  const read = gate();
  const successor = openMemoryStore(options);
  const next = await TaskHub.open({
    functions: [job, hello],
    store: storeWith(successor, {
      due: async (query) => {
        await committed.passed; // or it would begin the run itself
        return successor.due(query);
      },
      load: async (iids) => {
        const loaded = await successor.load(iids);
        read.open();
        return loaded;
      },
    }),
  });
  await next.client.raiseEvent("x", "anything"); // so that its new owner reads it, as it still is
  await read.passed;
  arrives.open();
  expect(await next.client.waitForCompletion("x")).toMatchObject({ output: "hello you" });
  await next.close({ drainMs: 0 });
  healed.open();
  await former.close({ drainMs: 0 });
});
