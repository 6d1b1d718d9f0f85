// The whole table of instance IDs at the doors of the command line. The commands run in this process: two hundred
// processes would show the same, later.
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { createProgram } from "../../src/cli/program.js";
import { createHttpHandler, type HttpServer, serveHttp } from "../../src/http/index.js";
import { InvalidInstanceIdError, orchestration, TaskHub } from "../../src/index.js";
import { member } from "../http-kit.js";
import { ID_TABLE } from "./ids.js";
import { onSqliteAndPostgres, SOON } from "./stores.js";

const accepted = ID_TABLE.filter(({ refused }) => refused === undefined).map(({ id }) => id);
const refused = ID_TABLE.flatMap(({ id, refused: rule }) => (rule === undefined ? [] : [{ id, rule }]));

const who = orchestration("who", async (ctx) => [ctx.instanceId, await ctx.waitForExternalEvent("you")]);

/** Every command that takes an ID; with `--id`, so that none is taken for an option. */
const doors: [command: string, line: (id: string) => readonly string[]][] = [
  ["start-new", (id) => ["start-new", "who", `--id=${id}`]],
  ["get", (id) => ["get", `--id=${id}`]],
  ["wait", (id) => ["wait", `--id=${id}`]],
  ["history", (id) => ["history", `--id=${id}`]],
  ["executions", (id) => ["executions", `--id=${id}`]],
  ["raise", (id) => ["raise", `--id=${id}`, "--event-name=you"]],
  ["suspend", (id) => ["suspend", `--id=${id}`]],
  ["resume", (id) => ["resume", `--id=${id}`]],
  ["terminate", (id) => ["terminate", `--id=${id}`]],
  ["rewind", (id) => ["rewind", `--id=${id}`]],
  ["restart", (id) => ["restart", `--id=${id}`]],
  ["purge", (id) => ["purge", "--yes", "--", id]],
  ["singleton refusals", (id) => ["singleton", "refusals", "--", id]],
];

onSqliteAndPostgres("instance IDs on the command line", (store) => {
  let hub: TaskHub;
  let server: HttpServer;
  const printed: string[] = [];
  beforeAll(async () => {
    hub = await TaskHub.open({ store, functions: [who] });
    server = await serveHttp(createHttpHandler(hub), { port: 0 });
    vi.spyOn(process.stdout, "write").mockImplementation((text) => {
      printed.push(String(text));
      return true;
    });
  });
  afterAll(async () => {
    vi.restoreAllMocks();
    await server.close({ graceMs: 0 });
    await hub.close({ drainMs: 0 });
  });

  /** Runs a command, and gives what it printed. */
  async function run(line: readonly string[], at: readonly string[]): Promise<string> {
    printed.length = 0;
    const [command = "", ...rest] = line;
    const group = command === "singleton" ? rest.splice(0, 1) : [];
    await createProgram().parseAsync([command, ...group, ...at, "-o", "json", ...rest], {
      from: "user",
    });
    return printed.join("");
  }

  describe.each(doors)("%s", (_command, line) => {
    test("refuses what breaks a rule, by that rule", { timeout: 60_000 }, async () => {
      for (const { id, rule } of refused) {
        const error: unknown = await run(line(id), ["--store", store]).catch((thrown: unknown) => thrown);
        expect(error).toBeInstanceOf(InvalidInstanceIdError);
        expect(error).toMatchObject({ value: id, rule });
      }
    });
  });

  test("start-new takes what keeps the rules, as one instance each", { timeout: 120_000 }, async () => {
    // A store is opened by each command anew: every tenth ID shows that road.
    for (const [index, id] of accepted.entries()) {
      await run(
        ["start-new", "who", `--id=${id}`],
        index % 10 === 0 ? ["--store", store] : ["--url", server.url],
      );
    }
    // Only now: an event that went astray shows.
    for (const id of accepted) {
      const data = JSON.stringify(`for ${id}`);
      await run(["raise", `--id=${id}`, "--event-name=you", "--data", data], ["--url", server.url]);
    }
    const executions = new Set<unknown>();
    for (const id of accepted) {
      await hub.client.waitForCompletion(id, SOON);
      const status: unknown = JSON.parse(await run(["get", `--id=${id}`], ["--url", server.url]));
      expect(status).toMatchObject({ instanceId: id, output: [id, `for ${id}`] });
      executions.add(member(status, "executionId"));
    }
    expect(executions.size).toBe(accepted.length);
  });
});
