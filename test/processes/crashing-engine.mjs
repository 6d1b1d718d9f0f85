// An engine that is killed at any moment. Prints each start and event that was acknowledged; its
// activities write to a witness file what they did, synchronously, so that the file knows more than anybody.
import { appendFileSync } from "node:fs";
import { activity, orchestration, TaskHub } from "../../dist/index.js";

const [store, witness] = process.argv.slice(2);

export const step = activity("step", async (ctx, input) => {
  appendFileSync(
    witness,
    `${JSON.stringify({ id: ctx.instanceId, task: ctx.taskId, token: ctx.fencingToken })}\n`,
  );
  await new Promise((resolve) => {
    setTimeout(resolve, 5);
  });
  return input * 2;
});

export const job = orchestration("job", async (ctx, input) => {
  const results = [];
  for (let index = 0; index < 4; index++) results.push(await ctx.callActivity(step, input + index));
  const events = [];
  for (let index = 0; index < 2; index++) events.push(await ctx.waitForExternalEvent("note"));
  return { results, events };
});

const hub = await TaskHub.open({ store, functions: [step, job] });
process.stdout.write("open\n");
for (let index = 0; index < 200; index++) {
  const instanceId = `job-${index}`;
  await hub.client.startNew(job, { instanceId, input: index });
  process.stdout.write(`started ${instanceId}\n`);
  for (let note = 0; note < 2; note++) {
    await hub.client.raiseEvent(instanceId, "note", note);
    process.stdout.write(`raised ${instanceId}\n`);
  }
}
