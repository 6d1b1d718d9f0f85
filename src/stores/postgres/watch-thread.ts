// Watches the turns of the thread that started it, and records strikes on a connection of its own: that thread is
// blocked when there is something to record, and may have none free.
import { parentPort, workerData } from "node:worker_threads";
import { type BlockedTurn, TurnWatch } from "../turn-watch.js";
import { columnTypes, loadDriver } from "./driver.js";
import { qualify } from "./qualify.js";
import type { Query } from "./query.js";
import { describeInstance, recordStrike, withdrawStrike } from "./strikes.js";
import { type WatchedHub, watchedHubOf } from "./watch.js";

/** Turns hardly ever block: nothing is kept open for it. */
async function connected<T>(
  { connectionString, schema }: WatchedHub,
  work: (query: Query) => Promise<T>,
): Promise<T> {
  const { Client } = await loadDriver();
  const client = new Client({
    connectionString,
    fallback_application_name: "tenure",
    connectionTimeoutMillis: 10_000,
    query_timeout: 10_000,
  });
  client.on("error", () => {}); // whatever is asked next fails, too
  await client.connect();
  try {
    return await work(async (sql, values = []) => {
      const { rows } = await client.query<unknown[], unknown[]>({
        text: qualify(sql, schema),
        values: [...values],
        rowMode: "array",
        types: columnTypes,
      });
      return rows;
    });
  } finally {
    await client.end();
  }
}

function watch(watched: WatchedHub): void {
  const { hub, board } = watched;
  new TurnWatch({
    strike: (turn: BlockedTurn) =>
      connected(watched, async (query) => {
        await recordStrike(query, hub, turn);
        return describeInstance(query, hub, turn.iid);
      }),
    withdraw: (turn) => connected(watched, (query) => withdrawStrike(query, hub, turn)),
  }).start(board);
}

watch(watchedHubOf(workerData));
// Nobody writes to it: the open port keeps the thread alive until it is terminated, as the watch's timer does not.
parentPort?.on("message", () => {});
