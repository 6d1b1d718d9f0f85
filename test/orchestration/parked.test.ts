import { expect, test } from "vitest";
import type { Store } from "../../src/core/store.js";
import { activity, orchestration } from "../../src/index.js";
import { NOW, onEveryStore, storeWith, textWith } from "./support.js";

const echo = activity("echo", (_ctx, value: string) => value);

const waits = orchestration("waits", async (ctx) => ctx.waitForExternalEvent<string>("go"));

function never(): Promise<never> {
  return new Promise(() => {});
}

onEveryStore("an orchestrator that awaits something foreign", (open) => {
  const foreign = orchestration("foreign", async (ctx): Promise<string> => {
    await ctx.callActivity(echo, "first");
    return never();
  });

  test("is parked with a hint, its status unchanged, while others go on", async () => {
    const hub = await open([foreign, waits, echo]);
    await hub.client.startNew(foreign, { instanceId: "bad" });
    const other = await hub.client.startNew(waits, { instanceId: "good" });
    await hub.idle();
    const status = await hub.client.getStatus("bad");
    expect(status?.runtimeStatus).toBe("Running");
    expect(status?.parked).toMatchObject({
      code: "ForeignAwait",
      message: textWith("move the work into an activity"),
      sinceMs: hub.now.getTime(),
    });
    await hub.client.raiseEvent("good", "go", "on");
    await hub.idle();
    expect(await other.result(NOW)).toBe("on");
  });

  test("goes on after a deploy that fixes it, with what it had done", async () => {
    const hub = await open([foreign, echo]);
    const start = await hub.client.startNew(foreign, { instanceId: "bad" });
    await hub.idle();
    const fixed = orchestration("foreign", async (ctx) => {
      const first = await ctx.callActivity(echo, "first");
      return `${first}, ${await ctx.callActivity(echo, "second")}`;
    });
    await hub.crash({ functions: [fixed, echo] });
    await hub.idle();
    expect(await start.result(NOW)).toBe("first, second");
  });

  test("can be terminated, and its ID used again", async () => {
    const hub = await open([foreign, waits, echo]);
    await hub.client.startNew(foreign, { instanceId: "bad" });
    await hub.idle();
    await hub.client.terminate("bad", "cannot go on");
    const status = await hub.client.getStatus("bad");
    expect(status).toMatchObject({
      runtimeStatus: "Terminated",
      output: "cannot go on",
      parked: undefined,
    });
    const again = await hub.client.startNew(waits, { instanceId: "bad" });
    await hub.client.raiseEvent("bad", "go", "new");
    await hub.idle();
    expect(await again.result(NOW)).toBe("new");
  });

  test("is parked on its first turn too, and shown as Pending", async () => {
    const hub = await open([orchestration("atOnce", async () => never())]);
    await hub.client.startNew("atOnce", { instanceId: "bad" });
    await hub.idle();
    expect(await hub.client.getStatus("bad")).toMatchObject({
      runtimeStatus: "Pending",
      parked: { code: "ForeignAwait" },
    });
  });

  test("keeps the events that come while it is parked, in order", async () => {
    const broken = orchestration("events", async () => never());
    const hub = await open([broken]);
    const start = await hub.client.startNew("events", { instanceId: "bad" });
    await hub.idle();
    await hub.client.raiseEvent("bad", "n", 1);
    await hub.idle();
    await hub.client.raiseEvent("bad", "n", 2);
    await hub.idle();
    const fixed = orchestration("events", async (ctx) => [
      await ctx.waitForExternalEvent("n"),
      await ctx.waitForExternalEvent("n"),
    ]);
    await hub.crash({ functions: [fixed] });
    await hub.idle();
    expect(await start.result(NOW)).toEqual([1, 2]);
  });

  test("that uses its context once the foreign promise has resolved is told so, and stays parked", async () => {
    let release: () => void = () => {};
    const seen: unknown[] = [];
    const late = orchestration("late", async (ctx) => {
      await new Promise<void>((resolve) => {
        release = resolve;
      });
      try {
        await ctx.callActivity(echo, "too late");
      } catch (error) {
        seen.push(error);
        throw error;
      }
    });
    const hub = await open([late, echo]);
    await hub.client.startNew(late, { instanceId: "bad" });
    await hub.idle();
    release();
    await hub.idle();
    expect(seen).toMatchObject([{ code: "ContextMisuse", message: textWith("outside a turn") }]);
    expect(await hub.client.getStatus("bad")).toMatchObject({
      runtimeStatus: "Pending",
      parked: { code: "ForeignAwait" },
    });
  });
});

onEveryStore("a generator that yields something foreign", (open) => {
  test.each([
    ["a promise", (): unknown => Promise.resolve(1)],
    ["a number", (): unknown => 5],
    ["null", (): unknown => null],
  ])("%s: is parked with a hint", async (_what, make) => {
    const strange = orchestration("strange", function* () {
      yield make();
    });
    const hub = await open([strange]);
    await hub.client.startNew(strange, { instanceId: "bad" });
    await hub.idle();
    expect(await hub.client.getStatus("bad")).toMatchObject({
      parked: { code: "ContextMisuse", message: textWith("Yield only tasks of its context") },
    });
  });
});

onEveryStore("code that changed between deploys", (open) => {
  const before = orchestration("job", async (ctx) => {
    await ctx.callActivity(echo, "a");
    return ctx.waitForExternalEvent("go");
  });

  test("parks the instance with what was recorded and what the code did, its history untouched", async () => {
    const hub = await open([before, echo]);
    await hub.client.startNew(before, { instanceId: "job" });
    await hub.idle();
    const history = await hub.client.getHistory("job");
    const other = activity("other", () => "b");
    const changed = orchestration("job", async (ctx) => {
      await ctx.callActivity(other);
      return ctx.waitForExternalEvent("go");
    });
    await hub.crash({ functions: [changed, other, echo] });
    await hub.client.raiseEvent("job", "go", 1);
    await hub.idle();
    const status = await hub.client.getStatus("job");
    expect(status).toMatchObject({ runtimeStatus: "Running", parked: { code: "NonDeterminism" } });
    expect(status?.parked?.message).toContain('recorded activity "echo" as task 0');
    expect(status?.parked?.message).toContain('the code did activity "other" as task 0');
    expect((await hub.client.getHistory("job"))?.events).toEqual(history?.events);
  });

  test("that does less than was recorded, or ends early, parks it as well", async () => {
    const hub = await open([before, echo]);
    await hub.client.startNew(before, { instanceId: "less" });
    await hub.client.startNew(before, { instanceId: "early" });
    await hub.idle();
    const changed = orchestration("job", async (ctx) => {
      if (ctx.instanceId === "early") return ctx.callActivity(echo, "a");
      return ctx.waitForExternalEvent("go");
    });
    await hub.crash({ functions: [changed, echo] });
    for (const id of ["less", "early"]) await hub.client.raiseEvent(id, "go", 1);
    await hub.idle();
    expect((await hub.client.getStatus("less"))?.parked?.message).toContain("the code did nothing more");
    expect((await hub.client.getStatus("early"))?.parked?.message).toContain("the code did end the function");
  });

  test("lets it go on once the recorded code is back", async () => {
    const hub = await open([before, echo]);
    const start = await hub.client.startNew(before, { instanceId: "job" });
    await hub.idle();
    const changed = orchestration("job", async (ctx) => ctx.createTimer(ctx.currentUtcDateTime));
    await hub.crash({ functions: [changed, echo] });
    await hub.client.raiseEvent("job", "go", "kept");
    await hub.idle();
    expect((await hub.client.getStatus("job"))?.parked?.code).toBe("NonDeterminism");
    await hub.crash({ functions: [before, echo] });
    await hub.idle();
    expect(await start.result(NOW)).toBe("kept");
  });
});

onEveryStore("resuming a parked instance", (open) => {
  test("tries it again, once per resume", async () => {
    let broken = true;
    let turns = 0;
    const flaky = orchestration("flaky", async (ctx) => {
      turns += 1;
      if (broken) await never();
      return ctx.callActivity(echo, "done");
    });
    const hub = await open([flaky, echo]);
    const start = await hub.client.startNew(flaky, { instanceId: "x" });
    await hub.idle();
    expect(turns).toBe(1);
    await hub.client.resume("x");
    await hub.idle();
    expect(turns).toBe(2);
    expect((await hub.client.getStatus("x"))?.parked?.code).toBe("ForeignAwait");
    broken = false;
    await hub.client.resume("x");
    await hub.idle();
    expect(await start.result(NOW)).toBe("done");
  });

  test("keeps the timers that came due meanwhile", async () => {
    let broken = false;
    const flaky = orchestration("flaky", async (ctx) => {
      await ctx.sleep(1000);
      if (broken) await never();
      return "awake";
    });
    const hub = await open([flaky]);
    const start = await hub.client.startNew(flaky, { instanceId: "x" });
    broken = true;
    await hub.advance(1000);
    expect((await hub.client.getStatus("x"))?.parked?.code).toBe("ForeignAwait");
    broken = false;
    await hub.client.resume("x");
    await hub.idle();
    expect(await start.result(NOW)).toBe("awake");
  });
});

onEveryStore("names that nobody has registered", (open) => {
  test("are refused at the start with the names that are known", async () => {
    const hub = await open([waits]);
    await expect(hub.client.startNew("Waits")).rejects.toMatchObject({
      code: "UnregisteredName",
      orchestrator: "Waits",
      knownNames: ["waits"],
      message: textWith("Known: waits"),
    });
  });

  test("wait visibly with allowUnregistered, and run once they are registered", async () => {
    const hub = await open([waits]);
    const start = await hub.client.startNew("later", { instanceId: "x", allowUnregistered: true });
    await hub.idle();
    expect(await hub.client.getStatus("x")).toMatchObject({
      runtimeStatus: "Pending",
      parked: { code: "UnregisteredName", message: textWith('orchestration "later"') },
    });
    await hub.crash({ functions: [waits, orchestration("later", async () => "ran")] });
    await hub.idle();
    expect(await start.result(NOW)).toBe("ran");
  });

  test("are accepted while no worker is alive", async () => {
    const hub = await open([waits]);
    await hub.stop();
    const start = await hub.client.startNew("later", { instanceId: "x" });
    await hub.start({ functions: [orchestration("later", async () => "ran")] });
    await hub.idle();
    expect(await start.result(NOW)).toBe("ran");
  });

  test("of an activity park the caller, which goes on once it is registered", async () => {
    const caller = orchestration("caller", async (ctx) => {
      const both = ctx.all([ctx.callActivity(echo, "known"), ctx.callActivity<string>("unknown", "x")]);
      return both;
    });
    const hub = await open([caller, echo]);
    const start = await hub.client.startNew(caller, { instanceId: "x" });
    await hub.idle();
    expect(await hub.client.getStatus("x")).toMatchObject({
      runtimeStatus: "Running",
      parked: { code: "UnregisteredName", message: textWith('activity "unknown"') },
    });
    await hub.client.resume("x");
    await hub.idle();
    expect((await hub.client.getStatus("x"))?.parked?.code).toBe("UnregisteredName");
    await hub.crash({ functions: [caller, echo, activity("unknown", (_ctx, value: string) => value)] });
    await hub.idle();
    expect(await start.result(NOW)).toEqual(["known", "x"]);
  });

  test("of a child leave the parent waiting and the child parked", async () => {
    const parent = orchestration("parent", async (ctx) =>
      ctx.callSubOrchestrator("unknown", undefined, { instanceId: "child" }),
    );
    const hub = await open([parent]);
    const start = await hub.client.startNew(parent);
    await hub.idle();
    expect((await hub.client.getStatus("child"))?.parked?.code).toBe("UnregisteredName");
    await hub.crash({ functions: [parent, orchestration("unknown", async () => "child's")] });
    await hub.idle();
    expect(await start.result(NOW)).toBe("child's");
  });
});

/** Gives out the first chunk of an instance's history as if a newer program, or a fault, had written it. */
function damaging(store: Store, instanceId: string, isDamaged: () => boolean): Store {
  return storeWith(store, {
    load: async (iids) => {
      const loaded = await store.load(iids);
      return loaded.map((each) =>
        isDamaged() && each.instance.instanceId === instanceId && each.chunks.length > 0
          ? { ...each, chunks: ["[99,[0,0]]", ...each.chunks.slice(1)] }
          : each,
      );
    },
  });
}

onEveryStore("a history that cannot be read", (open) => {
  test("parks its instance, and only that; it goes on once it can be read", async () => {
    let damaged = false;
    const hub = await open([waits], {}, (store) => damaging(store, "bad", () => damaged));
    const starts = [];
    for (const instanceId of ["bad", "good"]) starts.push(await hub.client.startNew(waits, { instanceId }));
    await hub.idle();
    damaged = true;
    await hub.crash();
    for (const id of ["bad", "good"]) await hub.client.raiseEvent(id, "go", id);
    await hub.idle();
    expect((await hub.client.getStatus("good"))?.output).toBe("good");
    expect(await hub.client.getStatus("bad")).toMatchObject({
      runtimeStatus: "Running",
      parked: { code: "HistoryUnreadable", message: textWith("format 99") },
    });
    damaged = false;
    await hub.crash();
    await hub.idle();
    expect(await starts[0]?.result(NOW)).toBe("bad");
  });

  test("can be tried again by a resume", async () => {
    let damaged = false;
    const hub = await open([waits], {}, (store) => damaging(store, "bad", () => damaged));
    const start = await hub.client.startNew(waits, { instanceId: "bad" });
    await hub.idle();
    damaged = true;
    await hub.crash();
    await hub.client.raiseEvent("bad", "go", "kept");
    await hub.idle();
    await hub.client.resume("bad");
    await hub.idle();
    expect((await hub.client.getStatus("bad"))?.parked?.code).toBe("HistoryUnreadable");
    damaged = false;
    await hub.client.resume("bad");
    await hub.idle();
    expect(await start.result(NOW)).toBe("kept");
  });
});

onEveryStore("a request between instances that only a newer program can read", (open) => {
  test("stays for that program, and holds up no other", async () => {
    let isNewer = true;
    const sends = orchestration("sends", async (ctx) => {
      ctx.sendEvent("new", "go", "for the new one");
      ctx.sendEvent("old", "go", "for the old one");
    });
    const hub = await open([waits, sends], {}, (store) =>
      storeWith(store, {
        poll: async (query) =>
          (await store.poll(query)).map((message) =>
            isNewer && message.kind === "request" && message.instanceId === "new"
              ? { ...message, body: '{"format":99,"request":{"kind":"raise"}}' }
              : message,
          ),
      }),
    );
    const start = await hub.client.startNew(waits, { instanceId: "new" });
    const other = await hub.client.startNew(waits, { instanceId: "old" });
    await hub.client.startNew(sends);
    await hub.idle();
    expect(await other.result(NOW)).toBe("for the old one");
    expect((await hub.client.getStatus("new"))?.runtimeStatus).toBe("Running");
    isNewer = false;
    await hub.crash();
    await hub.idle();
    expect(await start.result(NOW)).toBe("for the new one");
  });
});
