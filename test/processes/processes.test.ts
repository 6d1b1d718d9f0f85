import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { activity, orchestration, TaskHub } from "../../src/index.js";
import { dropSchema, freshSchema, postgresUrl, storeUrl } from "../postgres-schema.js";

/** Real engines in processes of their own, killed with SIGKILL: what they leave must be gone on with. */
let folder: string;
let store: string;
const children: ChildProcess[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tenure-processes-"));
  store = `sqlite:${join(folder, "hub.db")}`;
});

afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

describe.each([
  { name: "SQLite", schema: undefined },
  ...(postgresUrl === undefined ? [] : [{ name: "PostgreSQL", schema: freshSchema() }]),
])("an orchestrator that blocks its process ($name)", ({ schema }) => {
  beforeEach(() => {
    if (schema !== undefined) store = storeUrl(schema);
  });

  afterEach(async () => {
    if (schema !== undefined) await dropSchema(schema);
  });

  test("is named while it blocks, and left alone after three process starts; the others go on", async () => {
    for (let start = 1; start <= 3; start++) {
      const engine = launch("blocking-engine.mjs", [store]);
      expect(await firstLine(engine.stderr, (line) => line.includes("spin"))).toContain("stuck");
      await kill(engine);
    }
    const fine = orchestration("fine", async () => "fine");
    const spin = orchestration("spin", async () => {
      throw new Error("it must not be run again");
    });
    await using hub = await TaskHub.open({ store, functions: [spin, fine] });
    const other = await hub.client.startNew(fine, {});
    expect(await other.result()).toBe("fine");
    const stuck = await until(async () => {
      const status = await hub.client.getStatus("stuck");
      return status?.parked === undefined ? undefined : status;
    });
    expect(stuck).toMatchObject({ runtimeStatus: "Pending", parked: { code: "OrchestratorBlocked" } });
    await hub.client.terminate("stuck");
    expect(await hub.client.getStatus("stuck")).toMatchObject({ runtimeStatus: "Terminated" });
  });

  test("runs again once it is fixed and resumed", async () => {
    for (let start = 1; start <= 3; start++) {
      const engine = launch("blocking-engine.mjs", [store]);
      await firstLine(engine.stderr, (line) => line.includes("spin"));
      await kill(engine);
    }
    const spin = orchestration("spin", async () => "fixed");
    await using hub = await TaskHub.open({ store, functions: [spin] });
    await until(async () => (await hub.client.getStatus("stuck"))?.parked);
    await hub.client.resume("stuck");
    expect(await hub.client.waitForCompletion("stuck", { timeoutMs: 20_000 })).toMatchObject({
      output: "fixed",
    });
  });
});

describe("an engine killed with SIGKILL", () => {
  test.each([1, 60, 250])(
    "loses nothing that it had acknowledged (killed after %i acknowledgements)",
    async (acks) => {
      const witness = join(folder, "witness");
      const acknowledged = await runUntilKilled(witness, acks);
      const step = activity("step", async (_ctx, input: number) => input * 2);
      const job = orchestration("job", async (ctx, input: number) => {
        const results: number[] = [];
        for (let index = 0; index < 4; index++) results.push(await ctx.callActivity(step, input + index));
        const events: unknown[] = [];
        for (let index = 0; index < 2; index++) events.push(await ctx.waitForExternalEvent("note"));
        return { results, events };
      });
      await using hub = await TaskHub.open({ store, functions: [step, job] });
      for (const [instanceId, notes] of acknowledged) {
        for (let note = notes; note < 2; note++) {
          // An event whose acknowledgement was lost may have been accepted: those are at most one more.
          await hub.client.raiseEvent(instanceId, "note", note).catch(() => {});
        }
        const input = Number(instanceId.slice("job-".length));
        const { output, runtimeStatus } = await hub.client.waitForCompletion(instanceId, {
          timeoutMs: 20_000,
        });
        expect(runtimeStatus).toBe("Completed");
        expect(output).toMatchObject({ results: [0, 1, 2, 3].map((index) => (input + index) * 2) });
        const history = await hub.client.getHistory(instanceId);
        const results = history?.events.flatMap((event) =>
          event.type === "TaskCompleted" ? [event.taskScheduledId] : [],
        );
        expect(results).toEqual([0, 1, 2, 3]); // each activity's result counted once, however often it ran
      }
      expect(acknowledged.size).toBeGreaterThan(0);
      const tokens = tokensBy(witness);
      for (const seen of tokens.values()) expect(seen).toEqual([...seen].sort((a, b) => a - b));
    },
  );
});

/** Acknowledged notes by acknowledged instance. */
async function runUntilKilled(witness: string, acks: number): Promise<Map<string, number>> {
  const engine = launch("crashing-engine.mjs", [store, witness]);
  const acknowledged = new Map<string, number>();
  let seen = 0;
  for await (const line of createInterface({ input: engine.stdout })) {
    const [what, instanceId = ""] = line.split(" ");
    if (what === "started") acknowledged.set(instanceId, 0);
    if (what === "raised") acknowledged.set(instanceId, (acknowledged.get(instanceId) ?? 0) + 1);
    if (what !== "open" && ++seen >= acks) break;
  }
  await kill(engine);
  return acknowledged;
}

/** The fencing tokens that an activity ran under, in the order in which it ran. */
function tokensBy(witness: string): Map<string, number[]> {
  const tokens = new Map<string, number[]>();
  if (!existsSync(witness)) return tokens; // killed before anything ran
  for (const line of readFileSync(witness, "utf8").trim().split("\n")) {
    const seen: unknown = JSON.parse(line);
    const { id, token } = Object.assign({ id: "", token: 0 }, seen);
    tokens.set(id, [...(tokens.get(id) ?? []), token]);
  }
  return tokens;
}

function launch(file: string, args: readonly string[]) {
  const path = fileURLToPath(new URL(file, import.meta.url));
  const child = spawn(process.execPath, [path, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  children.push(child);
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  const exit = once(child, "exit");
  child.kill("SIGKILL");
  await exit;
}

async function firstLine(stream: NodeJS.ReadableStream, matches: (line: string) => boolean): Promise<string> {
  for await (const line of createInterface({ input: stream })) if (matches(line)) return line;
  throw new Error("the process ended before it said so");
}

async function until<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const seen = await look();
    if (seen !== undefined) return seen;
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
  }
}
