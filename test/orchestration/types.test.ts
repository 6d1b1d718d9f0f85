import { describe, expect, expectTypeOf, test } from "vitest";
import {
  activity,
  type OrchestrationDefinition,
  type OrchestrationHandle,
  orchestration,
  type TaskHub,
} from "../../src/index.js";

interface Order {
  readonly id: string;
  readonly quantity: number;
}

const price = activity("price", async (_ctx, order: Order) => order.quantity * 2);
const ping = activity("ping", () => "pong");

const checkout = orchestration("checkout", async (ctx, order: Order) => {
  expectTypeOf(await ctx.callActivity(price, order)).toEqualTypeOf<number>();
  expectTypeOf(await ctx.callActivity(ping)).toEqualTypeOf<string>();
  expectTypeOf(await ctx.callActivity("byName")).toEqualTypeOf<unknown>();
  expectTypeOf(await ctx.callActivity<boolean>("byName", 1)).toEqualTypeOf<boolean>();
  expectTypeOf(await ctx.waitForExternalEvent<Order>("order")).toEqualTypeOf<Order>();
  expectTypeOf(await ctx.waitForExternalEvent("order")).toEqualTypeOf<unknown>();
  expectTypeOf(ctx.sleep(1)).toExtend<PromiseLike<void>>();
  const both = await ctx.all([ctx.callActivity(price, order), ctx.callActivity(ping)]);
  expectTypeOf(both).toEqualTypeOf<[number, string]>();
  expectTypeOf(await Promise.all([ctx.callActivity(price, order), ctx.callActivity(ping)])).toEqualTypeOf<
    [number, string]
  >();
  expectTypeOf(
    await ctx.race([ctx.callActivity(price, order), ctx.callActivity(price, order)]),
  ).toEqualTypeOf<number>();
  expectTypeOf(await ctx.any([ctx.callActivity(ping)])).toEqualTypeOf<string>();
  const settled = await ctx.allSettled([ctx.callActivity(price, order)]);
  expectTypeOf(settled).toEqualTypeOf<[PromiseSettledResult<number>]>();
  const timer = ctx.sleep(1);
  const call = ctx.callActivity(price, order);
  const { task } = await ctx.whenAny([timer, call]);
  expectTypeOf(task).toEqualTypeOf<typeof timer | typeof call>();
  // @ts-expect-error the activity takes an order
  void ctx.callActivity(price, "an order");
  // @ts-expect-error the activity needs an input
  void ctx.callActivity(price);
  return order.id;
});

const generator = orchestration("generator", function* (ctx, order: Order) {
  expectTypeOf(yield* ctx.callActivity(price, order)).toEqualTypeOf<number>();
  expectTypeOf(yield* ctx.all([ctx.callActivity(ping)])).toEqualTypeOf<[string]>();
  expectTypeOf(yield* ctx.callSubOrchestrator(checkout, order)).toEqualTypeOf<string>();
  return { total: 1 };
});

const asyncGenerator = orchestration("asyncGenerator", async function* (ctx, n?: number) {
  expectTypeOf(yield* ctx.callActivity(ping)).toEqualTypeOf<string>();
  return n ?? null;
});

describe("types", () => {
  test("go from the orchestrator function into its definition, in all three shapes", () => {
    expectTypeOf(checkout).toEqualTypeOf<OrchestrationDefinition<Order, string>>();
    expectTypeOf(generator).toEqualTypeOf<OrchestrationDefinition<Order, { total: number }>>();
    expectTypeOf(asyncGenerator).toEqualTypeOf<OrchestrationDefinition<number | undefined, number | null>>();
    expect([checkout, generator, asyncGenerator].map((each) => each.name)).toEqual([
      "checkout",
      "generator",
      "asyncGenerator",
    ]);
  });

  test("go from the definition through the start to its result", () => {
    const startAll = async ({ client }: TaskHub): Promise<void> => {
      const start = await client.startNew(checkout, { input: { id: "a", quantity: 1 } });
      expectTypeOf(start).toEqualTypeOf<OrchestrationHandle<string>>();
      expectTypeOf(await start.result()).toEqualTypeOf<string>();
      expectTypeOf((await start.waitForCompletion()).output).toEqualTypeOf<string | undefined>();
      expectTypeOf(
        await (await client.startNew(generator, { input: { id: "a", quantity: 1 } })).result(),
      ).toEqualTypeOf<{
        total: number;
      }>();
      expectTypeOf(await (await client.startNew(asyncGenerator)).result()).toEqualTypeOf<number | null>();
      expectTypeOf(await client.startNew("byName", { input: 1 })).toEqualTypeOf<OrchestrationHandle>();
      expectTypeOf((await client.waitForCompletion("x")).output).toEqualTypeOf<unknown>();
      // @ts-expect-error the input is an order
      await client.startNew(checkout, { input: { id: 5 } });
      // @ts-expect-error an input is needed
      await client.startNew(checkout, {});
      // @ts-expect-error an input is needed
      await client.startNew(checkout);
      // @ts-expect-error an activity cannot be started
      await client.startNew(price, { input: { id: "a", quantity: 1 } });
    };
    expect(startAll).toBeTypeOf("function");
  });
});
