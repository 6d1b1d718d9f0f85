// Where instances run that nobody chose an ID for.
import { expect, test } from "vitest";
import { SHARD_COUNT } from "../../src/core/shard.js";
import { activity, orchestration, TaskHub } from "../../src/index.js";
import { dropSchema, freshSchema, postgresUrl, storeUrl } from "../postgres-schema.js";
import { until } from "./members.js";

async function open(schema: string, name: string): Promise<TaskHub> {
  const where = activity("where", async (_ctx, ms: number) => {
    await new Promise<void>((resolve) => {
      setTimeout(resolve, ms);
    });
    return name;
  });
  const ask = orchestration("ask", async (ctx, ms: number) => ctx.callActivity(where, ms));
  return TaskHub.open({ store: storeUrl(schema), functions: [where, ask] });
}

test.skipIf(postgresUrl === undefined)(
  "instances run in the process that starts them, and in others once it has more to do than those",
  async () => {
    const schema = freshSchema();
    const [one, other] = [await open(schema, "one"), await open(schema, "other")];
    const sharesAll = (): boolean => {
      const shares = [one, other].map((hub) => hub.status().lease?.shards ?? 0);
      return (
        shares.every((share) => share > 0) && shares.reduce((sum, share) => sum + share, 0) === SHARD_COUNT
      );
    };
    const run = async (ms: number): Promise<unknown> =>
      (await one.client.startNew("ask", { input: ms })).result();
    await until(async () => (sharesAll() ? true : undefined));
    for (let index = 0; index < 20; index++) expect(await run(0)).toBe("one");
    const atOnce = await Promise.all(Array.from({ length: 200 }, () => run(200)));
    expect(new Set(atOnce)).toEqual(new Set(["one", "other"]));
    await Promise.all([one.close(), other.close()]);
    await dropSchema(schema);
  },
);
