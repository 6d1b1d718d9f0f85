import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { z } from "zod";

/** As vitest reports in JSON. */
const results = z.object({
  numTotalTests: z.number(),
  testResults: z.array(
    z.object({
      message: z.string().optional(),
      assertionResults: z.array(z.object({ status: z.string(), fullName: z.string() })),
    }),
  ),
});

const VITEST = join(dirname(createRequire(import.meta.url).resolve("vitest/package.json")), "vitest.mjs");

/** What a file of tests said: how many there are, and the first that failed. */
export interface Tested {
  readonly tests: number;
  readonly failed?: string;
  /** Where nothing was tested. */
  readonly broken?: string;
}

/** Runs a file of tests in a copy of the sources, where one names PostgreSQL on this server. */
export function runTests(folder: string, file: string, server?: string): Promise<Tested> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [VITEST, "run", "--reporter=json", file], {
      cwd: folder,
      env: { ...process.env, ...(server === undefined ? {} : { TENURE_TEST_POSTGRES: server }) },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let out = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      out += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr = (stderr + text).slice(-2_000);
    });
    child.once("error", reject);
    child.once("close", () => resolve(testedOf(out) ?? { tests: 0, broken: stderr || out.slice(-500) }));
  });
}

function testedOf(out: string): Tested | undefined {
  const from = out.indexOf("{");
  if (from < 0) return undefined;
  const { numTotalTests, testResults } = results.parse(JSON.parse(out.slice(from)));
  if (numTotalTests === 0) return { tests: 0, broken: testResults[0]?.message ?? "there are no tests" };
  const failed = testResults
    .flatMap(({ assertionResults }) => assertionResults)
    .find(({ status }) => status === "failed");
  return { tests: numTotalTests, ...(failed === undefined ? {} : { failed: failed.fullName }) };
}
