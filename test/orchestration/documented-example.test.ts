import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { activity, orchestration } from "../../src/index.js";
import { openTestHub } from "../../src/testing/index.js";

// <example>
const charged: string[] = [];

const charge = activity("charge", async (_ctx, orderId: string) => {
  charged.push(orderId);
});

const order = orchestration("order", async (ctx, orderId: string) => {
  const approval = ctx.waitForExternalEvent<boolean>("approval");
  const deadline = ctx.sleep(3 * 24 * 3_600_000);
  const { task } = await ctx.whenAny([approval, deadline]);
  if (task === deadline || !approval.result()) return "cancelled";
  deadline.cancel();
  await ctx.callActivity(charge, orderId);
  return "charged";
});

test("an order that nobody approves is cancelled after three days", async () => {
  await using hub = await openTestHub({ functions: [order, charge] });
  const start = await hub.client.startNew(order, { instanceId: "order-1", input: "order-1" });
  await hub.advance(3 * 24 * 3_600_000);
  expect(await start.result()).toBe("cancelled");
});

test("an approved order is charged once, although the process crashes", async () => {
  await using hub = await openTestHub({ functions: [order, charge] });
  const start = await hub.client.startNew(order, { instanceId: "order-2", input: "order-2" });
  await hub.crash();
  await hub.client.raiseEvent("order-2", "approval", true);
  await hub.idle();
  await hub.crash();
  expect(await start.result()).toBe("charged");
  expect(charged).toEqual(["order-2"]);
});
// </example>

test("the page shows this file's example", async () => {
  const source = await readFile(new URL(import.meta.url), "utf8");
  const [, example = ""] = /\/\/ <example>\n([^]*?)\/\/ <\/example>/.exec(source) ?? [];
  const page = await readFile(new URL("../../docs/testing.md", import.meta.url), "utf8");
  expect(example).not.toBe("");
  expect(page).toContain(example);
});
