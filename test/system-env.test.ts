import { setImmediate as nextRound } from "node:timers/promises";
import { expect, test } from "vitest";
import { systemEnv } from "../src/system-env.js";

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

test("any number of sleeps may end by one signal, and the process is not warned of a leak", async () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error): unknown => warnings.push(warning);
  process.on("warning", onWarning);
  const env = systemEnv(silent);
  const stopping = new AbortController();
  const sleeps = Array.from({ length: 50 }, () => env.sleep(60_000, stopping.signal));
  stopping.abort();
  await Promise.all(sleeps);
  await nextRound(); // warnings are told a little later
  process.off("warning", onWarning);
  expect(warnings).toEqual([]);
});
