// What ends its process each time it is touched, killed or out of memory: real processes, on PostgreSQL too.
import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import { activity, orchestration, TaskHub } from "../../src/index.js";
import { onSqliteAndPostgres, SOON } from "./stores.js";

/** The same names as in killing-engine.mjs; poisoned ones must not be run again. */
const FUNCTIONS = [
  orchestration("fine", async () => "fine"),
  orchestration("patient", async (ctx) => ctx.callActivity("long")),
  orchestration("poison", async () => {
    throw new Error("it was terminated");
  }),
  activity("bomb", () => {}),
  activity("long", () => "patient"),
];

const children: ChildProcess[] = [];

afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

/** Small, so that it is full at once: to fill the usual one takes a minute and four gigabytes of the machine. */
const SMALL_HEAP = "--max-old-space-size=64";

const isHoarding = (way: string): boolean => way.startsWith("hoarding");

/** Runs an engine until it ends, or says that the poisoned instance is parked. */
function run(store: string, way: string, start: number): Promise<"died" | "parked"> {
  const path = fileURLToPath(new URL("killing-engine.mjs", import.meta.url));
  const flags = isHoarding(way) ? [SMALL_HEAP] : [];
  const child = spawn(process.execPath, [...flags, path, store, way, String(start)], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.push(child);
  let said = "";
  child.stderr.on("data", (part) => {
    said += String(part);
  });
  return new Promise((resolve, reject) => {
    child.once("close", () => {
      const isMeant = !isHoarding(way) || said.includes("JavaScript heap out of memory");
      if (isMeant) resolve("died");
      else reject(new Error(`It ended for another reason: ${said}`));
    });
    child.stdout.once("data", () => resolve("parked"));
  });
}

onSqliteAndPostgres("an instance that ends its process", (store, name) => {
  // Each takeover on PostgreSQL waits until the worker before is known to be dead: two ways will do there.
  const ways =
    name === "SQLite"
      ? ["turn", "activity", "event", "exit", "hoarding turn", "hoarding activity"]
      : ["turn", "activity"];
  test.each(ways)(
    "in its %s is found and parked after some starts, and harms no other",
    { timeout: 120_000 },
    async (way) => {
      let deaths = 0;
      while (deaths < 10 && (await run(store, way, deaths + 1)) === "died") deaths += 1;
      expect(deaths).toBeGreaterThan(1); // one crash is nobody's fault
      expect(deaths).toBeLessThan(10);

      await using connection = await TaskHub.connect({ store });
      const { client } = connection;
      const poisoned = await client.getStatus("poisoned");
      expect(poisoned?.runtimeStatus).toMatch(/^(Pending|Running)$/);
      // Where memory fills up slowly, the turn has also been seen to block its process before it ended it.
      const codes = way === "hoarding turn" ? /^(ProcessEnded|OrchestratorBlocked)$/ : /^ProcessEnded$/;
      expect(poisoned?.parked?.code).toMatch(codes);
      expect(await client.waitForCompletion(`other-${deaths + 1}`, SOON)).toMatchObject({ output: "fine" });
      const innocent = await client.getStatus("innocent");
      expect(innocent).toMatchObject({ runtimeStatus: "Running" });
      expect(innocent?.parked).toBeUndefined();
      await client.terminate("poisoned");
      expect(await client.getStatus("poisoned")).toMatchObject({ runtimeStatus: "Terminated" });

      for (const child of children) child.kill("SIGKILL");
      await using hub = await TaskHub.open({ store, functions: FUNCTIONS });
      expect(await hub.client.waitForCompletion("innocent", SOON)).toMatchObject({ output: "patient" });
      // The others, too: an engine that is careful takes them up one after the other.
      const { instances: waiting } = await client.list({ runtimeStatus: ["Pending", "Running"] });
      for (const { instanceId } of waiting)
        expect(await hub.client.waitForCompletion(instanceId, SOON)).toMatchObject({ output: "fine" });
      const { instances: all } = await client.list({});
      for (const { instanceId } of all) await client.purge(instanceId);
    },
  );

  test("in its turn can be terminated while no engine runs, and others go on", async () => {
    expect(await run(store, "turn", 1)).toBe("died");
    await using connection = await TaskHub.connect({ store });
    const { client } = connection;
    await client.terminate("poisoned");
    await using hub = await TaskHub.open({ store, functions: FUNCTIONS });
    expect(await hub.client.waitForCompletion("other-1", SOON)).toMatchObject({ output: "fine" });
    expect(await client.getStatus("poisoned")).toMatchObject({ runtimeStatus: "Terminated" });
  });
});
