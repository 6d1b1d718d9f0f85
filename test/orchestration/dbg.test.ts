import { test } from "vitest";
import { activity, orchestration } from "../../src/index.js";
import { openTestHub } from "../../src/testing/index.js";
test("x", async () => {
  let broken = true; let n = 0;
  const work = activity("work", () => { if (broken) throw new RangeError("a"); return "A"; });
    const waits = orchestration("waits", async (ctx) => {
      await ctx.waitForExternalEvent("go");
      return ctx.callActivity(work);
    });
    const parent = orchestration("parent", async (ctx) =>
      ctx.callSubOrchestrator(waits, undefined, { instanceId: "kid" }),
    );
    const say = (m: string, f: unknown) => { if (n++ < 60) console.log(m, JSON.stringify(f)); else process.exit(1); };
    const hub = await openTestHub({ functions: [parent, waits, work], logger: { debug: say, info: say, warn: say, error: say }});
    const step = async (name: string) => { await hub.idle(); console.log(name, (await hub.client.getStatus("x"))?.runtimeStatus,(await hub.client.getStatus("kid"))?.runtimeStatus); };
    await hub.client.startNew(parent, { instanceId: "x" });
    await step("1");
    await hub.client.suspend("x");
    await step("2");
    await hub.client.raiseEvent("kid", "go");
    await step("3");
    await hub.client.resume("x");
    await step("4");
    broken = false;
    await hub.client.rewind("x");
    await step("5");
  console.log(JSON.stringify((await hub.client.getHistory("x"))?.events, null, 0));
});
