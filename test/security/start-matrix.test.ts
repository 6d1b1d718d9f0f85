// Where a server may listen: without a key on this machine alone.
import { networkInterfaces } from "node:os";
import { afterAll, describe, expect, test } from "vitest";
import { serverSettings } from "../../src/cli/server-options.js";
import { createHttpHandler, serveHttp } from "../../src/http/index.js";
import { cleanUp, project, tenure } from "../cli-process.js";
import { openKit } from "../http-kit.js";

const kit = await openKit();
afterAll(async () => {
  await kit[Symbol.asyncDispose]();
  await cleanUp();
});

const addresses = Object.values(networkInterfaces()).flatMap((some) => some ?? []);
const hasIpv6 = addresses.some(({ address }) => address === "::1");
const lan = addresses.filter(({ internal }) => !internal).map(({ address }) => address);

const loopback = ["127.0.0.1", "127.0.0.2", "localhost", "::1"];
const beyond = [
  "0.0.0.0",
  "::",
  "",
  "0",
  "192.0.2.1",
  "::ffff:127.0.0.1",
  "127.1",
  "2130706433",
  "0x7f.1",
  "localhost.",
  "LOCALHOST.example.org",
  "127.0.0.1.example.org",
  " 127.0.0.1",
  ...lan,
];

describe("without a key", () => {
  test.each(loopback)("a server listens on %j", async (host) => {
    if (host === "::1" && !hasIpv6) {
      console.log("skipped: this machine has no ::1");
      return;
    }
    const server = await serveHttp(kit.handler, { host, port: 0 });
    const answer = await fetch(`${server.url}/healthz`);
    await server.close();
    expect(answer.status).toBe(200);
  });

  test.each(beyond)("and not on %j", async (host) => {
    await expect(serveHttp(kit.handler, { host, port: 0 })).rejects.toThrow(/needs a key/);
    expect(() => serverSettings({ port: 0, host }, "memory")).toThrow(/needs a key/);
  });

  test.each(["dev", "serve"])("tenure %s refuses before it opens anything", async (command) => {
    const cwd = project({ "app.mjs": "throw new Error('the app was loaded');" });
    const { code, stdout, stderr } = await tenure([command, "app.mjs", "--host", "0.0.0.0", "--port", "0"], {
      cwd,
      env: { TENURE_STORE: "memory" },
    });
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(/Binding to 0\.0\.0\.0 needs a key/);
    expect(stderr).not.toContain("the app was loaded");
  });
});

test("with a key it listens everywhere, and nothing but health is answered without it", async () => {
  const keyed = createHttpHandler(kit.hub, { key: "k", allowedHosts: ["*"] });
  const server = await serveHttp(keyed, { host: "0.0.0.0", port: 0 });
  const at = (path: string): Promise<Response> => fetch(`http://127.0.0.1:${server.port}${path}`);
  const statuses = [];
  for (const path of ["/healthz", "/readyz", "/openapi.json", "/healthz/x", "/x/healthz", "/api/x"]) {
    statuses.push([path, (await at(path)).status]);
  }
  await server.close();
  expect(statuses).toEqual([
    ["/healthz", 200],
    ["/readyz", 200],
    ["/openapi.json", 401],
    ["/healthz/x", 401],
    ["/x/healthz", 401],
    ["/api/x", 401],
  ]);
});
