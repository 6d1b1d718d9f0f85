// What an installation brings along: few packages, at the versions that were looked at, and none that runs by itself.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { z } from "zod";

const root = new URL("../../", import.meta.url);
const read = (name: string): unknown => JSON.parse(readFileSync(fileURLToPath(new URL(name, root)), "utf8"));

const versions = z.record(z.string(), z.string()).default({});
const manifest = z
  .object({
    dependencies: versions,
    optionalDependencies: versions,
    devDependencies: versions,
    scripts: versions,
    allowScripts: z.record(z.string(), z.boolean()),
  })
  .parse(read("package.json"));
const lock = z
  .object({
    lockfileVersion: z.literal(3),
    packages: z.record(
      z.string(),
      z.object({
        version: z.string().optional(),
        resolved: z.string().optional(),
        integrity: z.string().optional(),
        hasInstallScript: z.boolean().optional(),
        dev: z.boolean().optional(),
        dependencies: versions,
        optionalDependencies: versions,
        devDependencies: versions,
      }),
    ),
  })
  .parse(read("package-lock.json"));

const installed = Object.entries(lock.packages).filter(([path]) => path !== "");

test("there are ten direct runtime dependencies at most, each pinned", () => {
  const direct = { ...manifest.dependencies, ...manifest.optionalDependencies };
  expect(Object.keys(direct).length).toBeGreaterThan(0);
  expect(Object.keys(direct).length).toBeLessThanOrEqual(10);
  const all = { ...direct, ...manifest.devDependencies };
  expect(Object.entries(all).filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))).toEqual([]);
});

test("the lockfile says what the manifest says, and what it says was installed", () => {
  const { dependencies, optionalDependencies, devDependencies } = lock.packages[""] ?? {};
  expect({ dependencies, optionalDependencies, devDependencies }).toEqual({
    dependencies: manifest.dependencies,
    optionalDependencies: manifest.optionalDependencies,
    devDependencies: manifest.devDependencies,
  });
  for (const [name, version] of Object.entries(manifest.dependencies)) {
    expect([name, lock.packages[`node_modules/${name}`]?.version]).toEqual([name, version]);
    expect([
      name,
      z.object({ version: z.string() }).parse(read(`node_modules/${name}/package.json`)).version,
    ]).toEqual([name, version]);
  }
});

test("every package is known by the hash of its content", () => {
  expect(installed.length).toBeGreaterThan(20);
  expect(installed.filter(([, { integrity }]) => !/^sha512-[\w+/]{86}==$/.test(integrity ?? ""))).toEqual([]);
});

test("nothing runs at installation: not ours, and of others only what is refused by name", () => {
  const ours = ["preinstall", "install", "postinstall", "prepare", "prepublish", "preprepare", "postprepare"];
  expect(Object.keys(manifest.scripts).filter((name) => ours.includes(name))).toEqual([]);
  const running = installed
    .filter(([, { hasInstallScript }]) => hasInstallScript === true)
    .map(([path]) => path.replace(/^.*node_modules\//, ""));
  expect(running.filter((name) => manifest.allowScripts[name] !== false && name !== "fsevents")).toEqual([]);
});
