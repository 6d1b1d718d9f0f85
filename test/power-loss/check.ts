import { isDeepStrictEqual } from "node:util";
import { InstanceEndedError, TaskHub, type TaskHubClient } from "tenure";
import { readMail } from "../../dist/core/message.js";
import { loadDriver } from "../../dist/stores/sqlite/driver.js";
import { openSqliteStore, type SqliteStore } from "../../dist/stores/sqlite/store.js";
import type { Known, Ledger } from "./ledger.js";
import { functionsOf, NOTES } from "./workload.js";

/** How long an instance may take to end once the hub runs again. */
const GO_ON_MS = 20_000;

/** What each row of the left table must have in the right one. */
const BELONGS = [
  ["hist", "(iid, generation)", "select iid, generation from execution"],
  ["execution", "iid", "select iid from inst"],
  ["timer", "(iid, generation)", "select iid, generation from inst"],
  ["inst", "(iid, generation)", "select iid, generation from execution"],
  ["message", "iid", "select iid from inst"],
] as const;

/**
 * Everything that is wrong with a hub's file, by what was acknowledged before the power failed.
 *
 * @param goesOn whether to run the hub, too, and see each instance to its end: what is stored must be what its history says.
 */
export async function problemsOf(file: string, ledger: Ledger, goesOn: boolean): Promise<readonly string[]> {
  try {
    const store = await openSqliteStore({ file, inline: true });
    await using connection = await TaskHub.connect({ store });
    const { client } = connection;
    const problems = await damages(file);
    const mail = await mailOf(store, client);
    for (const known of ledger.ids) problems.push(...(await losses({ store, client, mail }, known)));
    if (problems.length === 0) problems.push(...(await tokensGoneBack(client, ledger)));
    if (problems.length === 0 && goesOn) problems.push(...(await stuck(store, ledger)));
    return problems;
  } catch (error) {
    return [`the hub cannot be read: ${String(error)}`];
  }
}

/** What SQLite finds, and rows that a transaction in part would leave behind. */
async function damages(file: string): Promise<string[]> {
  const Driver = await loadDriver();
  const driver = new Driver(file, { enableForeignKeyConstraints: false });
  try {
    const problems = driver
      .prepare("pragma integrity_check")
      .all()
      .map(firstColumn)
      .filter((line) => line !== "ok");
    for (const [table, key, wanted] of BELONGS) {
      const alone = driver.prepare(`select count(*) from ${table} where ${key} not in (${wanted})`).get();
      if (firstColumn(alone) !== 0)
        problems.push(`${table} has ${String(firstColumn(alone))} rows that belong to nothing`);
    }
    return problems.map(String);
  } finally {
    driver.close();
  }
}

function firstColumn(row: unknown): unknown {
  return typeof row === "object" && row !== null ? Object.values(row)[0] : undefined;
}

/** Values of the events that wait to be taken in, by the instance's row. */
async function mailOf(
  store: SqliteStore,
  client: TaskHubClient,
): Promise<ReadonlyMap<number, readonly unknown[]>> {
  const mail = new Map<number, unknown[]>();
  for (const message of await store.poll({ shards: "all", after: 0, limit: 1_000_000 })) {
    if (message.kind !== "mail") continue;
    const values = readMail(message).flatMap((event) =>
      event.type === "EventRaised" ? [valueOf(client.decodePayload(event.input))] : [],
    );
    mail.set(message.iid, [...(mail.get(message.iid) ?? []), ...values]);
  }
  return mail;
}

interface Found {
  readonly store: SqliteStore;
  readonly client: TaskHubClient;
  readonly mail: ReadonlyMap<number, readonly unknown[]>;
}

/** What was acknowledged about an ID and is not so. */
async function losses({ store, client, mail }: Found, known: Known): Promise<readonly string[]> {
  const { id, run, open } = known;
  const problems: string[] = [];
  const wrong = (what: string): void => void problems.push(`${id}: ${what}`);
  for (const { executionId, task } of known.ran) {
    const history = await client.getHistory(id, executionId);
    if (!history?.events.some((event) => event.type === "TaskScheduled" && event.id === task))
      wrong(`activity ${task} of execution ${executionId} ran, but its scheduling is lost`);
  }
  const record = await store.get(id);
  if (!known.started) {
    // A child is started by its parent: nothing is known but what its activities said.
    if (record !== undefined && run > 0 && open !== "start") wrong("the acknowledged purge is lost");
    return problems;
  }
  if (record === undefined) {
    if (open !== "purge") wrong(`the acknowledged start of run ${run} is lost`);
    return problems;
  }
  const { instance } = record;
  if (instance.run !== run && !(open === "start" && instance.run === run + 1))
    wrong(`run ${run} was acknowledged, but run ${instance.run} is stored`);
  if (instance.fencingToken < known.token)
    wrong(`token ${known.token} was given, but ${instance.fencingToken} is stored`);
  if (
    instance.run === run &&
    instance.suspended !== known.suspended &&
    open !== "suspend" &&
    open !== "resume"
  )
    wrong(known.suspended ? "the acknowledged suspension is lost" : "the acknowledged resumption is lost");

  const executions = (await client.listExecutions(id)).filter((execution) => execution.run === run);
  const [last] = executions;
  if (last === undefined) wrong(`run ${run} has no execution`);
  else if (known.ended !== undefined) {
    if (last.runtimeStatus !== known.ended.status || !isDeepStrictEqual(last.output, known.ended.output))
      wrong(`was ${known.ended.status}, but ${last.runtimeStatus} is stored, or another output`);
  } else if (last.runtimeStatus === "Completed") {
    if (!startsWith(last.output, known.raised)) wrong("completed without events that had been acknowledged");
  } else if (last.runtimeStatus === "Failed" || (last.runtimeStatus === "Terminated" && open !== "terminate"))
    wrong(`is ${last.runtimeStatus}, which nobody asked for`);

  const kept = new Set(mail.get(instance.iid));
  for (const { executionId } of executions) {
    for (const event of (await client.getHistory(id, executionId))?.events ?? [])
      if (event.type === "EventRaised") kept.add(valueOf(client.decodePayload(event.input)));
  }
  const missing = known.raised.filter((value) => !kept.has(value));
  if (missing.length > (last?.droppedMessages ?? 0))
    wrong(`acknowledged events are lost: ${missing.join(", ")}`);
  return problems;
}

/** A later start of an ID that was purged gets a higher token. */
async function tokensGoneBack(client: TaskHubClient, ledger: Ledger): Promise<readonly string[]> {
  const problems: string[] = [];
  for (const { id, run, token, started, open } of ledger.ids) {
    if (started || run === 0 || open === "start") continue;
    await client.startNew("nap", { instanceId: id, input: { notes: 0, taken: [] } });
    const status = await client.getStatus(id);
    if (status === undefined || status.fencingToken <= token)
      problems.push(`${id}: token ${token} was given before the purge, ${status?.fencingToken} after it`);
  }
  return problems;
}

/** Runs the hub until every instance that was acknowledged has ended. */
async function stuck(store: SqliteStore, ledger: Ledger): Promise<readonly string[]> {
  await using hub = await TaskHub.open({ store, functions: Object.values(functionsOf(() => {})) });
  const ends = ledger.ids.map(async ({ id, run, raised }): Promise<readonly string[]> => {
    const status = await hub.client.getStatus(id);
    if (status === undefined) return [];
    if (status.runtimeStatus === "Suspended") await hub.client.resume(id);
    for (let note = 1; note <= NOTES; note++) await raiseIfLive(hub.client, id, -note);
    const ended = await hub.client.waitForCompletion(id, { timeoutMs: GO_ON_MS });
    if (ended.runtimeStatus === "Terminated") return [];
    if (ended.runtimeStatus === "Completed" && (ended.run !== run || startsWith(ended.output, raised)))
      return [];
    return [
      `${id}: went on to ${ended.runtimeStatus} with ${JSON.stringify(ended.output ?? ended.failure?.message)}`,
    ];
  });
  return (await Promise.all(ends)).flat();
}

/** Enough events for each orchestrator to end; it may have ended by itself. */
async function raiseIfLive(client: TaskHubClient, id: string, value: number): Promise<void> {
  try {
    await client.raiseEvent(id, "note", { value, padding: "" });
  } catch (error) {
    if (!(error instanceof InstanceEndedError)) throw error;
  }
}

function startsWith(values: unknown, wanted: readonly number[]): boolean {
  return Array.isArray(values) && isDeepStrictEqual(values.slice(0, wanted.length), wanted);
}

function valueOf(note: unknown): unknown {
  return typeof note === "object" && note !== null && "value" in note ? note.value : undefined;
}
