// The example as its README tells to run it, on the tests' server.
import { afterAll, describe, expect, test } from "vitest";
import { cleanUp, launch } from "./cli-process.js";
import { dropSchema, freshSchema, postgresUrl, storeUrl } from "./postgres-schema.js";

const schema = freshSchema();

afterAll(async () => {
  await cleanUp();
  if (postgresUrl !== undefined) await dropSchema(schema);
});

describe.skipIf(postgresUrl === undefined)("the PostgreSQL example", () => {
  test("a report goes on when the process that works on it is killed", { timeout: 120_000 }, async () => {
    const example = launch(process.execPath, ["examples/postgres/run.mjs"], {
      env: { TENURE_STORE: storeUrl(schema) },
    });
    const code = await example.ended;
    const said = example.stdout();
    expect({ code, said, failed: example.stderr() }).toMatchObject({ code: 0 });
    const started = /POST \/api\/reports\/\d+ to (\d+): 202/.exec(said)?.[1];
    const refused = /the same to (\d+): 409/.exec(said)?.[1];
    expect(started).toBeDefined();
    expect(refused).toBeDefined();
    expect(refused).not.toBe(started);
    const killed = /process (\d+) is killed/.exec(said)?.[1];
    const shares = /Completed: 10 regions, each counted once: (.*)/.exec(said)?.[1] ?? "";
    expect(killed).toBeDefined();
    // Its results count, and somebody else's; who came first depends on how the shards settled.
    const workers = [...shares.matchAll(/\d+ by (\d+)/g)].map(([, pid]) => pid);
    expect(workers).toContain(killed);
    expect(workers.length).toBeGreaterThan(1);
    expect(said).toMatch(/executions of report-\d+: 1$/m);
  });
});
