import { activity, orchestration, type TaskHubClient } from "tenure";
import type { Said } from "./said.js";

/** Both orchestrators take events until they have this many, and return their values in order. */
interface Collected {
  readonly notes: number;
  readonly taken: readonly number[];
}

interface Note {
  readonly value: number;
  /** Makes the log grow, so that checkpoints come in the middle. */
  readonly padding: string;
}

type Say = (said: Said) => void;

/** What the hub runs. */
export function functionsOf(say: Say) {
  const double = activity("double", async (ctx, value: number) => {
    const { instanceId: id, executionId, taskId: task, fencingToken: token } = ctx;
    say({ id, say: "ran", executionId, task, token });
    return value * 2;
  });
  const leaf = orchestration("leaf", async (ctx, value: number) => ctx.callActivity(double, value));
  /** In one execution, with activities between the events. */
  const collect = orchestration("collect", async (ctx, { notes }: Collected) => {
    const taken: number[] = [];
    while (taken.length < notes) {
      const { value } = await ctx.waitForExternalEvent<Note>("note");
      taken.push(value);
      if (taken.length % 2 === 1) await ctx.callActivity(double, value);
    }
    return taken;
  });
  /** A new generation for every two events. */
  const chain = orchestration(
    "chain",
    async (ctx, { notes, taken }: Collected): Promise<readonly number[]> => {
      const first = await ctx.waitForExternalEvent<Note>("note");
      const second = await ctx.waitForExternalEvent<Note>("note");
      const all = [...taken, first.value, second.value];
      if (all.length < notes) ctx.continueAsNew({ notes, taken: all });
      return all;
    },
  );
  /** A timer, an activity, a child; no events. */
  const nap = orchestration("nap", async (ctx, { taken }: Collected) => {
    await ctx.sleep(5);
    await ctx.callActivity(double, 1);
    await ctx.callSubOrchestrator(leaf, 2);
    return taken;
  });
  return { double, leaf, collect, chain, nap };
}

/** One client of one ID: asks, and says what it was told. */
class Client {
  readonly #client: TaskHubClient;
  readonly #functions: ReturnType<typeof functionsOf>;
  readonly #id: string;
  readonly #say: Say;
  #value = 0;

  constructor(client: TaskHubClient, functions: ReturnType<typeof functionsOf>, id: string, say: Say) {
    this.#client = client;
    this.#functions = functions;
    this.#id = id;
    this.#say = say;
  }

  async start(name: "collect" | "chain" | "nap", notes: number): Promise<void> {
    const id = this.#id;
    this.#say({ id, say: "asked", for: "start" });
    const input = { notes, taken: [] };
    const { run } = await this.#client.startNew(this.#functions[name], { instanceId: id, input });
    const status = await this.#client.getStatus(id);
    this.#say({ id, say: "started", run, token: status?.fencingToken ?? 0 });
  }

  async raise(times: number, paddingLength: number): Promise<void> {
    const id = this.#id;
    for (let time = 0; time < times; time++) {
      const value = ++this.#value;
      this.#say({ id, say: "asked", for: "raise" });
      await this.#client.raiseEvent(id, "note", { value, padding: "n".repeat(paddingLength) });
      this.#say({ id, say: "raised", value });
    }
  }

  async suspend(): Promise<void> {
    this.#say({ id: this.#id, say: "asked", for: "suspend" });
    await this.#client.suspend(this.#id);
    this.#say({ id: this.#id, say: "suspended" });
  }

  async resume(): Promise<void> {
    this.#say({ id: this.#id, say: "asked", for: "resume" });
    await this.#client.resume(this.#id);
    this.#say({ id: this.#id, say: "resumed" });
  }

  async terminate(): Promise<void> {
    this.#say({ id: this.#id, say: "asked", for: "terminate" });
    await this.#client.terminate(this.#id, "enough");
    await this.end();
  }

  async purge(): Promise<void> {
    this.#say({ id: this.#id, say: "asked", for: "purge" });
    await this.#client.purge(this.#id);
    this.#say({ id: this.#id, say: "purged" });
  }

  async end(): Promise<void> {
    const { runtimeStatus, output, fencingToken } = await this.#client.waitForCompletion(this.#id);
    this.#say({ id: this.#id, say: "ended", status: runtimeStatus, output, token: fencingToken });
  }
}

/** How many events a run of each kind takes. */
export const NOTES = 6;

/** The lives that an ID may have; each ends with the last thing that is known about it. */
const STORIES: readonly ((client: Client, padding: number) => Promise<void>)[] = [
  async (client, padding) => {
    await client.start("collect", NOTES);
    await client.raise(NOTES, padding);
    await client.end();
  },
  async (client, padding) => {
    await client.start("chain", NOTES);
    await client.raise(NOTES, padding);
    await client.end();
    await client.start("collect", NOTES);
    await client.raise(NOTES - 1, padding);
  },
  async (client) => {
    await client.start("nap", 0);
    await client.end();
    await client.purge();
    await client.start("nap", 0);
    await client.end();
    await client.purge();
  },
  async (client, padding) => {
    await client.start("collect", NOTES);
    await client.raise(2, padding);
    await client.terminate();
  },
  async (client, padding) => {
    await client.start("chain", NOTES);
    await client.suspend();
    await client.raise(3, padding);
    await client.resume();
    await client.raise(3, padding);
    await client.end();
  },
  async (client, padding) => {
    await client.start("chain", NOTES);
    await client.raise(1, padding);
    await client.suspend();
    await client.raise(2, padding);
  },
];

/** Lives these stories, several at a time. */
export async function live(
  hub: { readonly client: TaskHubClient },
  functions: ReturnType<typeof functionsOf>,
  say: Say,
  {
    ids,
    atOnce,
    padding,
  }: { readonly ids: readonly string[]; readonly atOnce: number; readonly padding: number },
): Promise<void> {
  const queue = ids.entries();
  const worker = async (): Promise<void> => {
    for (const [index, id] of queue) {
      const client = new Client(hub.client, functions, id, say);
      // Some without padding, for transactions of few pages.
      await STORIES[index % STORIES.length]?.(client, index % 4 === 0 ? 0 : padding);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}
