// Whether each activity's result counted once, however often the activity ran.
import { z } from "zod";
import type { TaskHubClient } from "../../src/client/task-hub-client.js";
import type { Testimony } from "./members.js";

const output = z.object({ results: z.array(z.string()), part: z.string().nullable() });

/** What is wrong with an instance of `job`; nothing, normally. */
export interface Miscount {
  readonly instanceId: string;
  readonly problem: string;
}

/**
 * Holds histories and outputs of ended jobs, and of their children, against what the activities testified: each
 * task that was scheduled has one result, it is one that a run of that very task gave, and the orchestrator got it.
 */
export async function miscounts(
  client: TaskHubClient,
  jobs: readonly string[],
  testimonies: readonly Testimony[],
): Promise<readonly Miscount[]> {
  const byResult = new Map(testimonies.map((testimony) => [testimony.result, testimony]));
  const found: Miscount[] = [];
  const examine = async (instanceId: string): Promise<readonly string[]> => {
    const history = await client.getHistory(instanceId);
    const problem = (text: string): number => found.push({ instanceId, problem: text });
    if (history?.execution.runtimeStatus !== "Completed") {
      problem(`is ${history?.execution.runtimeStatus ?? "gone"}`);
      return [];
    }
    const scheduled = history.events.flatMap((event) => (event.type === "TaskScheduled" ? [event.id] : []));
    const results = history.events.flatMap((event) =>
      event.type === "TaskCompleted" ? [{ task: event.taskScheduledId, payload: event.result }] : [],
    );
    const answered = results.map(({ task }) => task);
    if (new Set(answered).size !== answered.length)
      problem(`has two results of a task: ${answered.join(" ")}`);
    if (scheduled.some((task) => !answered.includes(task)))
      problem("ended without a result that it waited for");
    return results.map(({ task, payload }) => {
      const result = String(client.decodePayload(payload));
      const run = byResult.get(result);
      if (run?.instanceId !== instanceId || run.taskId !== task) {
        problem(`has a result of task ${task} that no run of it gave`);
      }
      return result;
    });
  };
  const job = async (instanceId: string): Promise<void> => {
    const counted = await examine(instanceId);
    const status = await client.getStatus(instanceId);
    const told = output.safeParse(status?.output);
    if (!told.success) {
      found.push({ instanceId, problem: `answered ${JSON.stringify(status?.output)}` });
      return;
    }
    const { results, part } = told.data;
    if (results.join() !== counted.join()) {
      found.push({ instanceId, problem: "was told other results than its history has" });
    }
    if (part !== null && (await examine(`${instanceId}-part`)).join() !== part) {
      found.push({ instanceId, problem: "was told another result than its child has" });
    }
  };
  const waiting = [...jobs];
  const lane = async (): Promise<void> => {
    for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) await job(id);
  };
  await Promise.all(Array.from({ length: 20 }, lane));
  return found;
}
