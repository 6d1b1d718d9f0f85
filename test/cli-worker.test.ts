// `tenure worker` as real processes of the built CLI: two servers that share a hub on PostgreSQL.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { cleanUp, end, project, type Result, type Serving, serving, tenure, until } from "./cli-process.js";
import { dropSchema, freshSchema, postgresUrl, storeUrl } from "./postgres-schema.js";

const APP = `
import { activity, orchestration } from "tenure";
export const greet = activity("greet", async (_ctx, name: string) => "Hello, " + name + "!");
export const hello = orchestration("hello", async (ctx, name: string) => ctx.callActivity(greet, name));
`;

const worker = z.strictObject({
  id: z.string(),
  host: z.string(),
  pid: z.int(),
  since: z.iso.datetime(),
  orchestrations: z.array(z.string()),
  activities: z.array(z.string()),
  shards: z.int(),
  leaseRenewed: z.iso.datetime(),
  leaseEnd: z.iso.datetime(),
  draining: z.boolean(),
});
type Worker = z.infer<typeof worker>;

const readiness = z.object({ lease: z.record(z.string(), z.union([z.number(), z.boolean()])) });

describe.skipIf(postgresUrl === undefined)("two servers on one hub", () => {
  const schema = freshSchema();
  let store = "";
  let cwd = "";
  let one: Serving;
  let other: Serving;

  beforeAll(async () => {
    const url = new URL(storeUrl(schema));
    url.searchParams.set("leaseMs", "8000");
    store = url.href;
    cwd = project({ "app.ts": APP });
    const start = (): Promise<Serving> => serving(["serve"], { cwd, env: { TENURE_STORE: store } });
    [one, other] = await Promise.all([start(), start()]);
  });

  afterAll(async () => {
    await cleanUp();
    await dropSchema(schema);
  });

  function run(...args: string[]): Promise<Result> {
    return tenure(args, { cwd, env: { TENURE_URL: one.url } });
  }

  async function workers(...where: string[]): Promise<Worker[]> {
    const { stdout } = await run("worker", "list", "-o", "json", ...where);
    return z.array(worker).parse(JSON.parse(stdout));
  }

  /** Once so many hold every shard among them. */
  async function shared(by: number): Promise<Worker[]> {
    return until(async () => {
      const holders = (await workers()).filter(({ shards }) => shards > 0);
      const total = holders.reduce((sum, { shards }) => sum + shards, 0);
      return holders.length === by && total === 256 ? holders : undefined;
    });
  }

  async function leaseOf(server: Serving) {
    return readiness.parse(await (await fetch(`${server.url}/readyz`)).json()).lease;
  }

  test("list shows each with its process, its shards and its lease, over HTTP and from the store", async () => {
    const both = await shared(2);
    expect(new Set(both.map(({ pid }) => pid))).toEqual(new Set([one.process.pid, other.process.pid]));
    for (const { leaseRenewed, leaseEnd, since, orchestrations, draining } of both) {
      expect(Date.parse(leaseEnd) - Date.parse(leaseRenewed)).toBeCloseTo(8000, -1);
      expect(Date.parse(since)).toBeLessThanOrEqual(Date.parse(leaseRenewed));
      expect(orchestrations).toEqual(["hello"]);
      expect(draining).toBe(false);
    }
    expect((await workers("--store", store)).map(({ id }) => id)).toEqual(both.map(({ id }) => id));
    const table = await run("worker", "list");
    expect(table.stdout).toMatch(/^ID +HOST +PID +SINCE +SHARDS +LEASE ENDS +STATE +ORCHESTRATIONS/);
    for (const { id, pid } of both)
      expect(table.stdout).toMatch(new RegExp(`${id} .* ${pid} .* running +1 +1`));
  });

  test("readiness tells the lease of the process that answers", async () => {
    const both = await shared(2);
    for (const server of [one, other]) {
      const held = both.find(({ pid }) => pid === server.process.pid);
      const lease = await leaseOf(server);
      expect(lease).toMatchObject({ shards: held?.shards, leaseMs: 8000, renewMs: 800, draining: false });
      expect(lease["renewalAgeMs"]).toBeLessThan(8000);
    }
  });

  test("drain takes everything from a worker that another process runs, and gives it to those that stay", async () => {
    const both = await shared(2);
    const leaving = both.find(({ pid }) => pid === other.process.pid);
    const drained = await run(
      "worker",
      "drain",
      leaving?.id ?? "",
      "--wait",
      "--timeout",
      "20s",
      "-o",
      "json",
    );
    expect(drained.code).toBe(0);
    expect(worker.parse(JSON.parse(drained.stdout))).toMatchObject({
      id: leaving?.id,
      shards: 0,
      draining: true,
    });
    const [staying] = await shared(1);
    expect(staying?.pid).toBe(one.process.pid);
    expect(await leaseOf(other)).toMatchObject({ shards: 0, draining: true });
    // It still answers for every instance, though it runs none.
    const greeted = await run("start-new", "hello", "--input", '"Ada"', "--wait", "--url", other.url);
    expect(greeted.code).toBe(0);
    expect((await run("worker", "list")).stdout).toMatch(new RegExp(`${leaving?.id} .* draining`));
  });

  test("the last one that stays keeps everything when it is asked to drain, and hands over when another comes", async () => {
    await end(other, "SIGTERM");
    const [last] = await shared(1);
    const asked = await run("worker", "drain", last?.id ?? "", "--store", store, "--wait", "--timeout", "1s");
    expect(asked.code).toBe(6);
    expect(asked.stderr).toContain("nobody else is there");
    expect((await run("start-new", "hello", "--input", '"Bo"', "--wait")).code).toBe(0);
    other = await serving(["serve"], { cwd, env: { TENURE_STORE: store } });
    await until(async () => ((await shared(1))[0]?.pid === other.process.pid ? true : undefined));
  });

  test("3: there is no such worker; 2: there is no such hub, or nothing to wait for", async () => {
    for (const where of [[], ["--store", store]]) {
      const unknown = await run("worker", "drain", "nobody", ...where);
      expect(unknown).toMatchObject({ code: 3, stdout: "" });
      expect(unknown.stderr).toContain("nobody");
    }
    const absent = await run("worker", "list", "--store", storeUrl(freshSchema()));
    expect(absent).toMatchObject({ code: 2, stdout: "" });
    expect(absent.stderr).toContain("There is no task hub at postgres://");
    expect((await run("worker", "list", "--store", "memory")).code).toBe(2);
    expect((await run("worker", "list", "--store", store, "--db", "a.db")).code).toBe(2);
    expect((await run("worker", "drain", "nobody", "--timeout", "1s")).code).toBe(2);
  });
});
