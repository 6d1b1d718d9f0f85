// A program with a hub open, in which a promise is rejected while nobody awaits it. Which one: the first argument.
import { activity, orchestration, TaskHub } from "../../dist/index.js";

const [which, replay] = process.argv.slice(2);

const fails = activity("fails", () => {
  throw new RangeError("broken");
});
const patient = orchestration("patient", async (ctx) => {
  const helper = async () => {
    await ctx.callActivity(fails);
  };
  const later = helper();
  await ctx.sleep(200);
  try {
    await later;
    return "no failure";
  } catch (error) {
    return `caught ${error.name} of ${error.cause?.name}`;
  }
});
const failing = orchestration("failing", async (ctx) => ctx.callActivity(fails));

const hub = await TaskHub.open({
  store: "memory",
  functions: [fails, patient, failing],
  replayEveryTurn: replay === "replay",
});
if (which === "orchestrator") {
  const start = await hub.client.startNew(patient, {});
  process.stdout.write(`${await start.result()}\n`);
  await hub.close();
} else if (which === "program") {
  void Promise.reject(new Error("the program's own"));
  await new Promise(() => {});
} else {
  const start = await hub.client.startNew(failing, {});
  void start.result(); // nobody awaits what it rejects with
  await start.waitForCompletion();
  await new Promise((resolve) => {
    setTimeout(resolve, 200);
  });
  process.stdout.write("still alive\n");
  await hub.close();
}
