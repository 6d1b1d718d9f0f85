// Whether what happens once happened once: runs, results, timers, events, tokens; however often it was tried.
import { z } from "zod";
import type { HistoryResult, TaskHubClient } from "../../src/client/task-hub-client.js";
import type { HistoryEvent } from "../../src/core/history.js";
import type { Testimony } from "./members.js";

const output = z.object({
  results: z.array(z.string()),
  part: z.string().nullable(),
  noted: z.array(z.unknown()).default([]),
});

/** A number of events: they are numbered, and sent once each. */
const input = z.object({ note: z.number() });

/** A run that somebody was told they had started. */
export interface Accepted {
  readonly instanceId: string;
  readonly executionId: string;
}

/** What is wrong with an instance of `job`; nothing, normally. */
export interface Miscount {
  readonly instanceId: string;
  readonly problem: string;
}

/**
 * Holds histories and outputs of ended jobs, and of their children, against what the activities testified: each
 * task, child and timer has one answer, a task's is one that a run of that very task in that very execution gave, and
 * the orchestrator got it; numbered events came once each, in their order. Of an ID alone the last execution is looked
 * at; of what was accepted, that execution, and what {@link strangers} finds.
 */
export async function miscounts(
  client: TaskHubClient,
  jobs: readonly (string | Accepted)[],
  testimonies: readonly Testimony[],
): Promise<readonly Miscount[]> {
  const byResult = new Map(testimonies.map((testimony) => [testimony.result, testimony]));
  const found: Miscount[] = [];
  const examine = async (
    instanceId: string,
    executionId?: string,
  ): Promise<{ readonly history: HistoryResult; readonly results: readonly string[] } | undefined> => {
    const history = await client.getHistory(instanceId, executionId);
    const problem = (text: string): number => found.push({ instanceId, problem: text });
    if (history?.execution.runtimeStatus !== "Completed") {
      problem(`is ${history?.execution.runtimeStatus ?? `no more ${executionId ?? "there"}`}`);
      return undefined;
    }
    for (const text of unanswered(history.events)) problem(text);
    const ran = history.execution.executionId;
    const results = history.events.flatMap((event) => {
      if (event.type !== "TaskCompleted") return [];
      const task = event.taskScheduledId;
      const result = String(client.decodePayload(event.result));
      const run = byResult.get(result);
      if (run?.instanceId !== instanceId || run.executionId !== ran || run.taskId !== task) {
        problem(`has a result of task ${task} that no run of it gave`);
      }
      return [result];
    });
    return { history, results };
  };
  const job = async (asked: string | Accepted): Promise<void> => {
    const { instanceId, executionId } = typeof asked === "string" ? { instanceId: asked } : asked;
    const problem = (text: string): number => found.push({ instanceId, problem: text });
    const examined = await examine(instanceId, executionId);
    if (examined === undefined) return;
    const { history, results: counted } = examined;
    const told = output.safeParse(history.execution.output);
    if (!told.success) {
      problem(`answered ${JSON.stringify(history.execution.output)}`);
      return;
    }
    const { results, part, noted } = told.data;
    if (results.join() !== counted.join()) problem("was told other results than its history has");
    const raised = history.events.flatMap((event) =>
      event.type === "EventRaised" ? [client.decodePayload(event.input)] : [],
    );
    const numbered = input.safeParse(history.execution.input);
    const due = numbered.success ? Array.from({ length: numbered.data.note }, (_, n) => n + 1) : raised;
    if (raised.join() !== due.join()) problem(`was sent ${due.join(" ")}, and has ${raised.join(" ")}`);
    if (numbered.success && noted.join() !== due.join()) problem(`took in ${noted.join(" ")}`);
    if (part === null) return;
    const child = partOf(instanceId);
    const gave = byResult.get(part);
    if (gave?.instanceId !== child) {
      problem("was told a result of its child that no run of it gave");
      return;
    }
    if ((await examine(child, gave.executionId))?.results.join() !== part) {
      problem("was told another result than its child has");
    }
  };
  await inLanes(jobs, job);
  const accepted = jobs.filter((asked): asked is Accepted => typeof asked !== "string");
  return [...found, ...(await strangers(client, accepted, testimonies)), ...twoHands(testimonies)];
}

/** The job that it is the child of, or itself. */
export function jobOf(instanceId: string): string {
  return instanceId.endsWith(PART) ? instanceId.slice(0, -PART.length) : instanceId;
}

/** Tokens of an ID that fell from one run of its activities to the next. */
export function fallenTokens(testimonies: readonly Testimony[]): readonly string[] {
  const highest = new Map<string, Testimony>();
  const found: string[] = [];
  for (const line of testimonies) {
    const { instanceId, fencingToken, taskId, pid, atMs } = line;
    const before = highest.get(instanceId);
    if (before === undefined || fencingToken >= before.fencingToken) highest.set(instanceId, line);
    else {
      found.push(
        `${instanceId}'s token fell from ${before.fencingToken} (task ${before.taskId}, process ${before.pid}) to ` +
          `${fencingToken} (task ${taskId}, process ${pid}), ${Math.round(atMs - before.atMs)} ms later`,
      );
    }
  }
  return found;
}

/** How often an activity ran once more than its result needed. */
export function ranAgain(testimonies: readonly Testimony[]): number {
  return testimonies.length - new Set(testimonies.map(taskOf)).size;
}

const PART = "-part";

function partOf(instanceId: string): string {
  return `${instanceId}${PART}`;
}

function taskOf({ executionId, taskId }: Testimony): string {
  return `${executionId} ${taskId}`;
}

/** What an ended execution asked for and was not answered, or more than once. */
function unanswered(events: readonly HistoryEvent[]): readonly string[] {
  const asked = events.flatMap((event) => {
    if (event.type === "TaskScheduled" || event.type === "TimerCreated") return [event.id];
    return event.type === "SubOrchestrationInstanceCreated" && event.detached !== true ? [event.id] : [];
  });
  const answers = events.flatMap((event) => {
    if (event.type === "TimerFired") return [event.timerId];
    return "taskScheduledId" in event ? [event.taskScheduledId] : [];
  });
  return [
    ...asked.filter((id) => !answers.includes(id)).map((id) => `ended without an answer to its task ${id}`),
    ...answers.filter((id, at) => answers.indexOf(id) !== at).map((id) => `has two answers to task ${id}`),
    ...answers.filter((id) => !asked.includes(id)).map((id) => `has an answer to task ${id}, unasked`),
  ];
}

/**
 * Runs that nobody was told of: an ID has as many as starts of it were accepted, those very ones, counted from 1; no
 * activity of another ran; and its child has one for each.
 */
async function strangers(
  client: TaskHubClient,
  accepted: readonly Accepted[],
  testimonies: readonly Testimony[],
): Promise<readonly Miscount[]> {
  const known = groupBy(accepted, ({ instanceId }) => instanceId);
  const ran = groupBy(testimonies, ({ instanceId }) => instanceId);
  const found: Miscount[] = [];
  await inLanes([...known], async ([instanceId, starts]) => {
    const told = starts.map(({ executionId }) => executionId);
    if (new Set(told).size < told.length)
      found.push({ instanceId, problem: `was started twice: ${told.join(" ")}` });
    const executions = await runsOf(instanceId);
    if (!isSame(told, executions))
      found.push({
        instanceId,
        problem: `was started as ${told.join(" ")}, and has ${executions.join(" ")}`,
      });
    checkWitness(instanceId, executions);
    const child = partOf(instanceId);
    if (!ran.has(child)) return;
    const parts = await runsOf(child);
    if (parts.length !== told.length)
      found.push({ instanceId: child, problem: `ran ${parts.length} times for ${told.length} runs` });
    checkWitness(child, parts);
  });
  return found;

  async function runsOf(instanceId: string): Promise<readonly string[]> {
    const executions = (await client.listExecutions(instanceId)).toReversed();
    if (executions.some(({ run }, index) => run !== index + 1))
      found.push({ instanceId, problem: `has runs ${executions.map(({ run }) => run).join(" ")}` });
    return executions.map(({ executionId }) => executionId);
  }

  function checkWitness(instanceId: string, executions: readonly string[]): void {
    const testified = new Set((ran.get(instanceId) ?? []).map(({ executionId }) => executionId));
    if (!isSame([...testified], executions))
      found.push({ instanceId, problem: `has ${executions.join(" ")}, and ${[...testified].join(" ")} ran` });
  }
}

function isSame(some: readonly string[], others: readonly string[]): boolean {
  return some.toSorted().join() === others.toSorted().join();
}

/** Whoever runs an activity anew has drawn a token first: two processes never have the same for one task. */
function twoHands(testimonies: readonly Testimony[]): readonly Miscount[] {
  const holders = groupBy(testimonies, (line) => `${taskOf(line)} ${line.fencingToken}`);
  return [...holders.values()].flatMap((runs) => {
    const [{ instanceId, taskId, fencingToken } = { instanceId: "", taskId: 0, fencingToken: 0 }] = runs;
    if (new Set(runs.map(({ pid }) => pid)).size < 2) return [];
    return [{ instanceId, problem: `two processes ran task ${taskId} under token ${fencingToken}` }];
  });
}

function groupBy<T>(all: readonly T[], keyOf: (one: T) => string): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>();
  for (const one of all) {
    const group = groups.get(keyOf(one));
    if (group === undefined) groups.set(keyOf(one), [one]);
    else group.push(one);
  }
  return groups;
}

async function inLanes<T>(all: readonly T[], each: (one: T) => Promise<void>): Promise<void> {
  const waiting = all.values();
  const lane = async (): Promise<void> => {
    for (const one of waiting) await each(one);
  };
  await Promise.all(Array.from({ length: 20 }, lane));
}
