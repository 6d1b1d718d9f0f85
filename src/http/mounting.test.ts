import { createServer } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { Hono } from "hono";
import { afterAll, beforeAll, expect, test } from "vitest";
import { BASE, call, type HttpKit, httpTrigger, member, openKit } from "../../test/http-kit.js";
import { createHttpHandler } from "./index.js";

let kit: HttpKit;

beforeAll(async () => {
  kit = await openKit();
});

afterAll(async () => {
  await kit[Symbol.asyncDispose]();
});

test("under a path of the user's own server, where URLs lead back to it", async () => {
  const handler = createHttpHandler(kit.hub, { basePath: "/tenure/", allowedHosts: ["shop.example"] });
  const app = new Hono()
    .all("/tenure/*", (context) => handler(context.req.raw))
    .get("/", (context) => context.text("shop"));
  const url = `https://shop.example/tenure${BASE}/orchestrators/Echo/mounted`;
  const started = await app.request(url, { method: "POST" });
  expect(started.status).toBe(202);
  const location = started.headers.get("location") ?? "";
  expect(location).toBe(`https://shop.example/tenure${BASE}/instances/mounted?taskHub=default`);
  await kit.hub.client.waitForCompletion("mounted", { timeoutMs: 5000 });
  expect((await app.request(location)).status).toBe(200);
  expect((await handler(new Request(`https://shop.example${BASE}/instances`))).status).toBe(404);
  expect((await handler(new Request(`https://shop.example/tenurex${BASE}/instances`))).status).toBe(404);
  expect((await handler(new Request("https://shop.example/tenure/healthz"))).status).toBe(200);
});

test("given to @hono/node-server as it is, it knows the caller's address", async () => {
  const greet = httpTrigger("Greet", { methods: ["POST"] }, async (request, { json }) => [
    await json(),
    request instanceof Request,
  ]);
  const handler = createHttpHandler({ client: kit.hub.client, functions: [greet] });
  const listener = getRequestListener(handler);
  const server = createServer((incoming, outgoing) => void listener(incoming, outgoing));
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  const root = `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
  for (const status of [202, 409]) {
    expect((await fetch(`${root}${BASE}/orchestrators/Waiter/by-node`, { method: "POST" })).status).toBe(
      status,
    );
  }
  expect(await kit.hub.client.listRefusals({ instanceId: "by-node" })).toMatchObject([
    { requester: "127.0.0.1 node" },
  ]);
  const headers = { "content-type": "application/json" };
  const greeted = await fetch(`${root}/api/greet`, { method: "POST", body: '"you"', headers });
  expect(await greeted.json()).toEqual(["you", true]);
  server.close();
});

test("behind a proxy, URLs are made from the public URL, and its pages are its own", async () => {
  const handler = createHttpHandler(kit.hub, { publicUrl: "https://jobs.example/t/" });
  const path = `${BASE}/orchestrators/Echo`;
  const answer = await call(handler, "POST", path, { headers: { origin: "https://jobs.example" } });
  expect(answer.status).toBe(202);
  expect(member(answer.body, "statusQueryGetUri")).toMatch(/^https:\/\/jobs\.example\/t\/runtime\//);
  expect((await call(handler, "GET", `https://jobs.example${BASE}/instances`)).status).toBe(200);
});

test("settings that cannot be are refused at once", () => {
  for (const options of [
    { basePath: "tenure" },
    { basePath: "/a b" },
    { publicUrl: "jobs.example" },
    { publicUrl: "ftp://jobs.example" },
    { publicUrl: "https://jobs.example/?a=b" },
  ]) {
    expect(() => createHttpHandler(kit.hub, options)).toThrow(
      expect.objectContaining({ code: "Configuration" }),
    );
  }
  const twice = ["One", "Two"].map((name) =>
    httpTrigger(name, { methods: ["GET"], route: "Same/{a}" }, () => name),
  );
  expect(() => createHttpHandler({ client: kit.hub.client, functions: twice })).toThrow(/both answer GET/);
});
