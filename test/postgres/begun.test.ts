// What a process reads of instances that it has begun itself: nothing.
import { expect, test } from "vitest";
import { SHARD_COUNT } from "../../src/core/shard.js";
import { orchestration, TaskHub } from "../../src/index.js";
import { openPostgresStore } from "../../src/stores/postgres/store.js";
import { dropSchema, freshSchema, postgresUrl, storeUrl } from "../postgres-schema.js";
import { until } from "./members.js";

const WORDS = Array.from({ length: 40 }, (_, index) => `word ${index}`);

/** A poll may come upon a start before its own answer does: not in each of so many rounds. */
const ROUNDS = 5;

test.skipIf(postgresUrl === undefined)(
  "instances that begin in a shard of the process that starts them are not read back before they run",
  async () => {
    const schema = freshSchema();
    const store = await openPostgresStore({ url: storeUrl(schema) });
    let loads = 0;
    const load = store.load.bind(store);
    store.load = (iids) => {
      loads += iids.length;
      return load(iids);
    };
    const echo = orchestration("echo", async (_ctx, word: string) => word);
    const hub = await TaskHub.open({ store, functions: [echo] });
    const ownsAll = async (): Promise<boolean> =>
      (await store.workers()).some(({ shards }) => shards === SHARD_COUNT);
    await until(async () => ((await ownsAll()) ? true : undefined));
    const loadsOfRounds: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const before = loads;
      const starts = await Promise.all(WORDS.map((input) => hub.client.startNew(echo, { input })));
      expect(await Promise.all(starts.map((start) => start.result()))).toEqual(WORDS);
      loadsOfRounds.push(loads - before);
    }
    await hub.close();
    await dropSchema(schema);
    expect(Math.min(...loadsOfRounds)).toBe(0);
  },
);
