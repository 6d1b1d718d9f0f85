import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { OwnServer, type Stop } from "./own-server.js";
import { between, Storm } from "./storm.js";

const ORCHESTRATIONS = 5000;

/** A machine that does eight in a second. */
const TIMEOUT_MS = 900_000;

/** One after the other. */
const WAYS: readonly Stop[] = ["kill", "fast", "immediate"];

test(
  `the server restarts every 5 to 10 s under ${ORCHESTRATIONS} orchestrations`,
  async () => {
    await using server = await OwnServer.start();
    await using storm = await Storm.begin({ fault: "server restarts", server: server.url, inFlight: 30 });
    const over = new AbortController();
    const load = storm.load.run(ORCHESTRATIONS).finally(() => over.abort());
    while (!over.signal.aborted) {
      // Woken early by the end of the load.
      await sleep(between(5000, 10_000), undefined, { signal: over.signal }).catch(() => {});
      if (over.signal.aborted) break;
      await server.restart(WAYS[storm.injected % WAYS.length] ?? "kill");
      storm.injected += 1;
    }
    await load;
    const { broken, runs } = await storm.settle();
    expect(broken).toEqual([]);
    expect(runs).toBe(ORCHESTRATIONS);
    expect(storm.injected, "restarts, each way at least once").toBeGreaterThanOrEqual(WAYS.length);
  },
  TIMEOUT_MS,
);
