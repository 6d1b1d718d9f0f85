import { expect, onTestFinished, test } from "vitest";
import { silentLogger } from "./core/env.js";
import { systemEnv } from "./system-env.js";

test("any number of sleeps end by one signal, and Node warns of no leak", async () => {
  const warnings: Error[] = [];
  const note = (warning: Error): void => void warnings.push(warning);
  process.on("warning", note);
  onTestFinished(() => void process.off("warning", note));
  const env = systemEnv(silentLogger);
  const stop = new AbortController();
  const sleeps = Array.from({ length: 20 }, () => env.sleep(3_600_000, stop.signal));
  await env.yieldNow();
  stop.abort();
  await Promise.all(sleeps);
  await env.yieldNow();
  expect(warnings).toEqual([]);
});
