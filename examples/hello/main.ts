// The same functions without any server: the engine runs in this process, on a SQLite file.
import { TaskHub } from "tenure";
import { helloCities, sayHello } from "./app.js";

await using hub = await TaskHub.open({ store: "sqlite:./hub.db", functions: [helloCities, sayHello] });
const start = await hub.client.startNew(helloCities, {
  instanceId: "hello",
  input: ["Tokyo"],
  ifLive: "attach",
});
console.log(start.outcome, start.executionId, start.generation); // "started" | "attached" | …
const done = await start.waitForCompletion(); // of this execution; done.output: string[] | undefined
console.log(done.runtimeStatus, done.output);
