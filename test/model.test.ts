// The smallest searches of `npm run model`: the models pass, and a mutant of each fails. See docs/proof.md.
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const runner = join(dirname(dirname(fileURLToPath(import.meta.url))), "proof", "run.mjs");
const missing = ["spin", "cc"].filter((program) => spawnSync(program, ["--version"]).error !== undefined);
if (missing.length > 0)
  console.warn(`test/model.test.ts is skipped: ${missing.join(" and ")} not on the PATH`);

describe.skipIf(missing.length > 0)("the model of starts, commits and leases", () => {
  // What is expected of a mutant is that it fails: one that passes is not as expected.
  test.each([
    { runs: "start whole", mutants: 5 },
    { runs: "START_COUNTS_AS_MAIL", mutants: 1 },
    { runs: "NO_TIMERS", mutants: 2 },
  ])(
    "$runs: what is ours passes, and every mutant is caught",
    ({ runs, mutants }) => {
      const { status, stdout, stderr } = spawnSync(process.execPath, [runner, "--only", runs], {
        encoding: "utf8",
      });
      expect(stdout + stderr).toMatch(/ searches, 0 not as expected/);
      expect(stdout.match(/ fails /g)).toHaveLength(mutants);
      expect(status).toBe(0);
    },
    60_000,
  );

  test("a mutant that passes is reported", () => {
    const env = { ...process.env, TENURE_MODEL_EXPECT: "passes" };
    const { status, stdout } = spawnSync(process.execPath, [runner, "--only", "TOKEN_DRAWN_ONCE"], {
      encoding: "utf8",
      env,
    });
    expect(stdout).toMatch(/ FAILS! .*\n {2}expected: passes/);
    expect(status).toBe(1);
  }, 60_000);
});
