// What ends its process each time it is touched, as running out of memory does: real processes, on PostgreSQL too.
import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import { activity, orchestration, TaskHub } from "../../src/index.js";
import { onSqliteAndPostgres, SOON } from "./stores.js";

/** The same names as in killing-engine.mjs; poisoned ones must not be run again. */
const FUNCTIONS = [
  orchestration("fine", async () => "fine"),
  orchestration("poison", async () => {
    throw new Error("it was terminated");
  }),
  activity("bomb", () => {}),
];

const children: ChildProcess[] = [];

afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

/** Runs an engine to its end. @returns the signal or the exit code. */
function run(store: string, way: string): Promise<unknown> {
  const path = fileURLToPath(new URL("killing-engine.mjs", import.meta.url));
  const child = spawn(process.execPath, [path, store, way], { stdio: ["ignore", "ignore", "inherit"] });
  children.push(child);
  return new Promise((resolve) => {
    child.once("exit", (code, signal) => resolve(signal ?? code));
  });
}

onSqliteAndPostgres("an instance that ends its process", (store, name) => {
  // Each takeover on PostgreSQL waits for a lease: one way will do there.
  test.each(name === "SQLite" ? ["turn", "activity", "event"] : ["turn"])(
    "in its %s is there for the next process, can be terminated without one, and then others go on",
    async (way) => {
      for (let start = 1; start <= 2; start++) expect(await run(store, way)).toBe("SIGKILL");
      await using connection = await TaskHub.connect({ store });
      const { client } = connection;
      expect((await client.getStatus("poisoned"))?.runtimeStatus).toMatch(/^(Pending|Running)$/);
      await client.startNew("fine", { instanceId: "other", ifEnded: "start", allowUnregistered: true });
      await client.terminate("poisoned");
      await using hub = await TaskHub.open({ store, functions: FUNCTIONS });
      expect(await hub.client.waitForCompletion("other", SOON)).toMatchObject({ output: "fine" });
      expect(await client.getStatus("poisoned")).toMatchObject({ runtimeStatus: "Terminated" });
      await client.purge("poisoned");
      await client.purge("other");
    },
  );
});
