import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

/** The goals of hello5 at 100 in flight; the test leaves twice as much room (see docs/performance.md). */
const CPU_MS_EACH = 0.5;
const COMMITS_EACH = 0.2;

test("five sequential activities cost at most twice the goal in CPU and in commits", () => {
  const child = fileURLToPath(new URL("hello5-child.mjs", import.meta.url));
  const printed = execFileSync(process.execPath, [child], { encoding: "utf8", timeout: 120_000 });
  const { cpuMsEach, commitsEach } = parseFigures(JSON.parse(printed));
  expect(cpuMsEach).toBeGreaterThan(0);
  expect(cpuMsEach).toBeLessThanOrEqual(2 * CPU_MS_EACH);
  expect(commitsEach).toBeGreaterThan(0);
  expect(commitsEach).toBeLessThanOrEqual(2 * COMMITS_EACH);
}, 150_000);

function parseFigures(figures: unknown): { cpuMsEach: number; commitsEach: number } {
  if (typeof figures === "object" && figures !== null && "cpuMsEach" in figures && "commitsEach" in figures) {
    return { cpuMsEach: Number(figures.cpuMsEach), commitsEach: Number(figures.commitsEach) };
  }
  throw new Error("the child printed no figures");
}
