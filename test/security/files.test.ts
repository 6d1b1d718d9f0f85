// Who can read what is written to the disk.
import { chmodSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { cleanUp, end, project, serving } from "../cli-process.js";

afterAll(cleanUp);

const APP = `
import { orchestration } from "tenure";
export const echo = orchestration("Echo", async (_ctx, input) => input);
`;

const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8);

test("a database that a server makes, and all beside it, is its owner's alone, whatever the umask", async () => {
  const cwd = project({ "app.mjs": APP });
  const before = process.umask(0);
  try {
    const server = await serving(["dev", "app.mjs"], { cwd });
    const started = await fetch(`${server.url}/runtime/webhooks/durabletask/orchestrators/Echo?timeout=20`, {
      method: "POST",
    });
    expect(started.status).toBe(200);
    const folder = join(cwd, ".tenure");
    const files = readdirSync(folder).filter((name) => name !== ".gitignore");
    expect(files.toSorted().map((name) => name.replace(/^.*\.db/, "*.db"))).toEqual(
      expect.arrayContaining(["*.db", "*.db-shm", "*.db-wal"]),
    );
    expect(files.map((name) => [name, modeOf(join(folder, name))])).toEqual(
      files.map((name) => [name, "600"]),
    );
    expect(modeOf(folder)).toBe("700");
    expect(await end(server, "SIGTERM")).toBe(0);
  } finally {
    process.umask(before);
  }
});

test("a file that was there keeps the mode that somebody gave it", async () => {
  const cwd = project({ "app.mjs": APP });
  const file = join(cwd, "shared.db");
  writeFileSync(file, "");
  chmodSync(file, 0o640);
  const server = await serving(["serve", "app.mjs", "--db", file], { cwd });
  expect(modeOf(file)).toBe("640");
  expect(await end(server, "SIGTERM")).toBe(0);
});

test("folders that a server makes for its database are its owner's alone, whatever the umask", async () => {
  const cwd = project({ "app.mjs": APP });
  const before = process.umask(0);
  try {
    const server = await serving(["serve", "app.mjs", "--db", join("a", "b", "hub.db")], { cwd });
    const made = [join(cwd, "a"), join(cwd, "a", "b")];
    expect(made.map((folder) => [folder, modeOf(folder)])).toEqual(made.map((folder) => [folder, "700"]));
    expect(await end(server, "SIGTERM")).toBe(0);
  } finally {
    process.umask(before);
  }
});
