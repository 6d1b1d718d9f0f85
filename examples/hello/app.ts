import { activity, httpTrigger, orchestration } from "tenure";

export const sayHello = activity("sayHello", async (_ctx, city: string) => `Hello, ${city}!`);

export const helloCities = orchestration("helloCities", async (ctx, cities: string[]) => {
  const greetings: string[] = [];
  for (const city of cities) greetings.push(await ctx.callActivity(sayHello, city)); // typed: string
  return greetings;
});

export const httpStartSingle = httpTrigger(
  "HttpStartSingle",
  { methods: ["POST"], route: "orchestrators/{functionName}/{instanceId}" },
  async (request, { client, params, json }) => {
    const { functionName, instanceId } = params; // typed from the route
    await client.startNew(functionName, { instanceId, input: await json() }); // a bad body: 400 by itself
    return client.createCheckStatusResponse(request, instanceId); // a live instance: 409 by itself
  },
);
