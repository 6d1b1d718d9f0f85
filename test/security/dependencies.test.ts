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

/**
 * Releases that must not be installed, checked without a network: taken over by somebody else, sabotaged by their
 * author, or open to what we are exposed to. To be added to, never taken from.
 */
const FORBIDDEN: readonly {
  readonly name: string;
  readonly versions?: readonly string[];
  readonly below?: string;
}[] = [
  // CVE-2026-44291: code from a crafted schema. grpc-js brings it with proto-loader.
  { name: "protobufjs", below: "7.5.6" },
  { name: "protobufjs", versions: ["8.0.0", "8.0.1"] },
  // The npm worms and thefts of accounts of 2025.
  { name: "ansi-regex", versions: ["6.2.1"] },
  { name: "ansi-styles", versions: ["6.2.2"] },
  { name: "backslash", versions: ["0.2.1"] },
  { name: "chalk", versions: ["5.6.1"] },
  { name: "chalk-template", versions: ["1.1.1"] },
  { name: "color", versions: ["5.0.1"] },
  { name: "color-convert", versions: ["3.1.1"] },
  { name: "color-name", versions: ["2.0.1"] },
  { name: "color-string", versions: ["2.1.1"] },
  { name: "debug", versions: ["4.4.2"] },
  { name: "error-ex", versions: ["1.3.3"] },
  { name: "has-ansi", versions: ["6.0.1"] },
  { name: "is-arrayish", versions: ["0.3.3"] },
  { name: "simple-swizzle", versions: ["0.2.3"] },
  { name: "slice-ansi", versions: ["7.1.1"] },
  { name: "strip-ansi", versions: ["7.1.1"] },
  { name: "supports-color", versions: ["10.2.1"] },
  { name: "supports-hyperlinks", versions: ["4.1.1"] },
  { name: "wrap-ansi", versions: ["9.0.1"] },
  { name: "@ctrl/tinycolor", versions: ["4.1.1", "4.1.2"] },
  // Earlier ones.
  { name: "coa", versions: ["2.0.3", "2.0.4", "2.1.1", "2.1.3", "3.0.1", "3.1.3"] },
  { name: "colors", versions: ["1.4.1", "1.4.2", "1.4.44-liberty-2"] },
  { name: "eslint-scope", versions: ["3.7.2"] },
  { name: "event-stream", versions: ["3.3.6"] },
  { name: "faker", versions: ["6.6.6"] },
  { name: "flatmap-stream", versions: ["0.1.1"] },
  { name: "node-ipc", versions: ["9.2.2", "10.1.1", "10.1.2", "10.1.3", "11.0.0", "11.1.0"] },
  { name: "rc", versions: ["1.2.9", "1.3.9", "2.3.9"] },
  { name: "ua-parser-js", versions: ["0.7.29", "0.8.0", "1.0.0"] },
];

test("no release that is known to be bad is installed, ours or another's", () => {
  const present = installed.map(([path, { version = "" }]) => ({
    name: path.replace(/^.*node_modules\//, ""),
    version,
  }));
  expect(present.filter(isForbidden)).toEqual([]);
});

test.each([
  ["protobufjs", "7.5.5", true],
  ["protobufjs", "7.5.6", false],
  ["protobufjs", "7.6.6", false],
  ["protobufjs", "6.11.4", true],
  ["protobufjs", "8.0.1", true],
  ["protobufjs", "8.0.2", false],
  ["debug", "4.4.2", true],
  ["debug", "4.4.3", false],
  ["@ctrl/tinycolor", "4.1.1", true],
])("%s %s is refused: %s", (name, version, refused) => {
  expect(isForbidden({ name, version })).toBe(refused);
});

function isForbidden(given: { readonly name: string; readonly version: string }): boolean {
  return FORBIDDEN.some(
    ({ name, versions: bad = [], below }) =>
      name === given.name &&
      (bad.includes(given.version) || (below !== undefined && isBelow(given.version, below))),
  );
}

function isBelow(version: string, below: string): boolean {
  const [a, b] = [partsOf(version), partsOf(below)];
  const differ = a.findIndex((part, index) => part !== b[index]);
  return differ >= 0 && (a[differ] ?? 0) < (b[differ] ?? 0);
}

function partsOf(version: string): readonly number[] {
  return version.split(/[.+-]/).slice(0, 3).map(Number);
}
