import { expect, test } from "vitest";
import { activity, orchestration } from "../../src/index.js";
import { NOW, onEveryStore } from "./support.js";

const sayHello = activity("sayHello", async (_ctx, city: string) => `Hello, ${city}!`);

const cities = ["Tokyo", "Seattle", "London"];

const helloAsync = orchestration("helloAsync", async (ctx, names: string[]) => {
  const greetings: string[] = [];
  for (const name of names) greetings.push(await ctx.callActivity(sayHello, name));
  return greetings;
});

const helloGenerator = orchestration("helloGenerator", function* (ctx, names: string[]) {
  const greetings: string[] = [];
  for (const name of names) greetings.push(yield* ctx.callActivity(sayHello, name));
  return greetings;
});

const helloAsyncGenerator = orchestration("helloAsyncGenerator", async function* (ctx, names: string[]) {
  const greetings: string[] = [];
  for (const name of names) greetings.push(yield* ctx.callActivity(sayHello, name));
  return greetings;
});

onEveryStore("chaining", (open) => {
  test.each([helloAsync, helloGenerator, helloAsyncGenerator])(
    "$name runs its activities one after the other and returns their results",
    async (hello) => {
      const hub = await open([hello, sayHello]);
      const start = await hub.client.startNew(hello, { input: cities });
      await hub.idle();
      expect(await start.result(NOW)).toEqual(["Hello, Tokyo!", "Hello, Seattle!", "Hello, London!"]);
    },
  );
});
