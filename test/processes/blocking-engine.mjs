// An engine whose orchestrator "spin" never gives the event loop back. Says "open" once it works.
import { orchestration, TaskHub } from "../../dist/index.js";

const [store] = process.argv.slice(2);
const spin = orchestration("spin", async () => {
  for (;;); // what the watchdog is for
});
const fine = orchestration("fine", async () => "fine");

const hub = await TaskHub.open({ store, functions: [spin, fine] });
process.stdout.write("open\n");
await hub.client.startNew(spin, { instanceId: "stuck", ifLive: "attach" });
