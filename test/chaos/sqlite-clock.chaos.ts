import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { z } from "zod";
import { SqliteStorm } from "./sqlite-storm.js";

const LIBRARY = `/usr/lib/${process.arch === "arm64" ? "aarch64" : "x86_64"}-linux-gnu/faketime/libfaketimeMT.so.1`;

/**
 * By how much the engine's clock is wrong, one after the other. At last it is later than ever: what was set while it
 * was ahead is due then, and must not have been forgotten.
 */
const WRONG_SECONDS = [-3600, 3600, 0, 7200, -7200, 10_800];

/** How long each lasts. */
const WRONG_MS = 3000;

/** Alarms set at each time: before, while and after the clock jumps. */
const ALARMS_MS = [500, 2500, 4000];

const alarm = z.object({ dueMs: z.number(), wokeMs: z.number() });

if (!existsSync(LIBRARY)) console.log("wrong clocks: skipped, there is no libfaketime here");

test.skipIf(!existsSync(LIBRARY))("the engine's clock is set back and forward", async () => {
  using clock = new Clock();
  await using storm = await SqliteStorm.begin({
    fault: "clock set -2 h to +3 h",
    engine: { env: clock.env },
  });
  const { client } = storm.connection;
  const alarms: string[] = [];
  await storm.rage(async () => {
    for (const [index, seconds] of WRONG_SECONDS.entries()) {
      for (const ms of ALARMS_MS) {
        const instanceId = `alarm-${index}-${ms}`;
        await client.startNew("alarm", { instanceId, input: { ms } });
        alarms.push(instanceId);
      }
      await sleep(WRONG_MS / 2);
      clock.set(seconds);
      const ahead = await engineClock(storm, `clock-${index}`);
      if (seconds !== 0 && Math.abs(ahead - seconds) < 60) storm.injected += 1;
      await sleep(WRONG_MS / 2);
    }
  });
  const early: string[] = [];
  for (const instanceId of alarms) {
    const { output } = await client.waitForCompletion(instanceId, { timeoutMs: 30_000 });
    const { dueMs, wokeMs } = alarm.parse(output);
    if (wokeMs < dueMs) early.push(`${instanceId} woke ${dueMs - wokeMs} ms early`);
    const history = await client.getHistory(instanceId);
    const fired = history?.events.filter(({ type }) => type === "TimerFired").length;
    if (fired !== 1) early.push(`${instanceId} fired ${fired} times`);
  }
  const { broken } = await storm.settle();
  expect([...broken, ...early]).toEqual([]);
  expect(storm.injected).toBe(WRONG_SECONDS.filter((seconds) => seconds !== 0).length);
});

/** By how many seconds the engine's clock is ahead of ours, as an activity sees it: a timer could take hours. */
async function engineClock({ connection, witness }: SqliteStorm, instanceId: string): Promise<number> {
  await connection.client.startNew("job", { instanceId, input: { steps: 1 } });
  await connection.client.waitForCompletion(instanceId, { timeoutMs: 30_000 });
  const ran = witness.read().find((testimony) => testimony.instanceId === instanceId);
  return ((ran?.clockMs ?? 0) - Date.now()) / 1000;
}

/** A clock that a process is given, and that can be set while it runs. */
class Clock implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), "tenure-clock-"));
  readonly #file = join(this.#folder, "offset");

  constructor() {
    this.set(0);
  }

  get env(): Readonly<Record<string, string>> {
    return {
      LD_PRELOAD: LIBRARY,
      FAKETIME_TIMESTAMP_FILE: this.#file,
      FAKETIME_NO_CACHE: "1",
      DONT_FAKE_MONOTONIC: "1",
    };
  }

  set(seconds: number): void {
    writeFileSync(this.#file, `${seconds < 0 ? "-" : "+"}${Math.abs(seconds)}s\n`);
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
