// An engine that ends with its process as soon as it touches what is poisoned, in one of several ways. Says "open"
// once it works; starts the instances at its first start only.
import { activity, orchestration, TaskHub } from "../../dist/index.js";

const [store, way] = process.argv.slice(2);

function die() {
  process.kill(process.pid, "SIGKILL"); // as the kernel does when memory runs out
  for (;;);
}

const bomb = activity("bomb", () => (way === "activity" ? die() : "quiet"));
const fine = orchestration("fine", async () => "fine");
const poison = orchestration("poison", async (ctx) => {
  if (way === "turn") die();
  if (way === "activity") return ctx.callActivity(bomb);
  const event = await ctx.waitForExternalEvent("go");
  if (way === "event" && event === "poison") die();
  return event;
});

const hub = await TaskHub.open({ store, functions: [poison, bomb, fine] });
process.stdout.write("open\n");
await hub.client.startNew(poison, { instanceId: "poisoned", ifLive: "attach" });
if (way === "event") await hub.client.raiseEvent("poisoned", "go", "poison");
setTimeout(() => {}, 60_000);
