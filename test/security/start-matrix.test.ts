// Where a server may listen: without a key on this machine alone.
import { networkInterfaces } from "node:os";
import { afterAll, describe, expect, test, vi } from "vitest";
import { serverSettings } from "../../src/cli/server-options.js";
import { createHttpHandler, serveHttp } from "../../src/http/index.js";
import { cleanUp, project, tenure } from "../cli-process.js";
import { call, openKit } from "../http-kit.js";

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

describe("with a key", () => {
  const settings = (host: string, allowedHost?: readonly string[]): readonly string[] => {
    vi.stubEnv("TENURE_KEY", "k");
    try {
      return serverSettings(
        { port: 0, host, ...(allowedHost === undefined ? {} : { allowedHost }) },
        "memory",
      ).allowedHosts;
    } finally {
      vi.unstubAllEnvs();
    }
  };
  const answers = async (allowedHosts: readonly string[], host: string): Promise<number> =>
    (
      await call(createHttpHandler(kit.hub, { key: "k", allowedHosts }), "GET", "/healthz", {
        headers: { host },
      })
    ).status;

  test.each([
    ["192.0.2.1", "192.0.2.1:7071"],
    ["jobs.example.org", "JOBS.example.org"],
    ["2001:db8::1", "[2001:db8::1]:7071"],
  ])("bound to %s, a server is known by that name alone", async (bound, own) => {
    expect(await answers(settings(bound), own)).toBe(200);
    expect(await answers(settings(bound), "localhost")).toBe(200);
    expect(await answers(settings(bound), "evil.example")).toBe(421);
    expect(await answers(settings(bound, ["other.example"]), own)).toBe(200);
    expect(await answers(settings(bound, ["other.example"]), "other.example")).toBe(200);
    expect(await answers(settings(bound, ["other.example"]), "evil.example")).toBe(421);
  });

  test.each(["0.0.0.0", "::", "0", ""])(
    "bound to every address, as %j, by any name, or those given",
    async (bound) => {
      expect(await answers(settings(bound), "evil.example")).toBe(200);
      expect(await answers(settings(bound, ["jobs.example.org"]), "jobs.example.org")).toBe(200);
      expect(await answers(settings(bound, ["jobs.example.org"]), "evil.example")).toBe(421);
    },
  );

  test.each(["127.0.0.1", "::1", "localhost"])("bound to %s, by the names of this machine", async (bound) => {
    expect(await answers(settings(bound), "evil.example")).toBe(421);
    expect(await answers(settings(bound), "127.0.0.1:7071")).toBe(200);
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
