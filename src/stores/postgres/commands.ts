import {
  type Change,
  type Command,
  type CommandAnswer,
  type Decision,
  decide,
  type Found,
  type StartAccepted,
} from "../../core/command.js";
import { EngineFaultError, StoreConflictError } from "../../core/errors.js";
import { type Execution, type Instance, isLive, runtimeStatusOf } from "../../core/instance.js";
import { EXECUTION_COLUMNS, executionOf, INSTANCE_COLUMNS, instanceOf, Row } from "../rows.js";
import { type Beginning, beginRuns } from "./begin-run.js";
import { endRunsFromOutside, type OutsideEnd } from "./end-from-outside.js";
import { keyed, unindexed } from "./keyed.js";
import { type Answer, addWaiter, mailAnswers, type Post, postMail, takeRequests } from "./messages.js";
import { purgeInstances } from "./purge.js";
import type { Query } from "./query.js";
import { type Claim, claimRequests, rememberedStarts, withdrawClaims } from "./requests.js";
import { rewindInstance } from "./rewind.js";
import type { Transaction } from "./transaction.js";

/**
 * How often in a row nothing may come of a wave. A start is decided again when its ID was taken after it had been
 * seen to be free; then there is a row to lock, and that decision stands unless the row is purged meanwhile.
 */
const MAX_LOST_RACES = 20;

/** What a plain read before the transaction tells. */
export interface ReadBefore {
  /** Undefined where a write may be needed. */
  readonly answers: readonly (CommandAnswer | undefined)[];
  /** IDs that nobody has: a start need not look for a row to lock. */
  readonly free: ReadonlySet<string>;
}

/**
 * Answers commands from plain reads where those are the whole truth: a start that is refused, or told of what is
 * there, writes nothing, and must not lock the row of a busy ID either.
 */
export async function answersFromRead(
  query: Query,
  hub: number,
  commands: readonly Command[],
): Promise<ReadBefore> {
  const starts = commands.filter(isAnswerableFromRead);
  if (starts.length === 0) return { answers: commands.map(() => undefined), free: new Set() };
  const asked = starts.filter((start) => start.kind !== "start" || start.hasNewId !== true);
  const instances = await findInstances(query, hub, new Set(asked.map(({ instanceId }) => instanceId)), "");
  // Read after the instances: whoever is not in here was not the start of what was found there.
  const remembered = await rememberedStarts(query, hub, starts);
  const answers = commands.map((command) => {
    if (!isAnswerableFromRead(command)) return undefined;
    const instance = instances.get(command.instanceId);
    const { answer, change } = decide(command, instance && foundOf(instance), remembered.get(command));
    return change === undefined ? answer : undefined;
  });
  const free = starts.map(({ instanceId }) => instanceId).filter((id) => !instances.has(id));
  return { answers, free: new Set(free) };
}

/** A parent is always told something, by a message. */
function isAnswerableFromRead(command: Command): boolean {
  return command.kind === "start" && command.consumes === undefined && command.parent === undefined;
}

/**
 * Carries out commands in an open READ COMMITTED transaction, those of one instance ID in their order; answers in
 * the order of the commands. Each wave locks the rows of all IDs that are left, lets core decide, and writes what
 * it decided in a few statements. Keeps nothing between calls: the transaction may be tried again as a whole.
 *
 * @param free IDs that nobody had a moment ago. The insert decides whether it is still so; if not, the next wave
 *   finds a row to lock.
 * @throws StoreConflictError where an ID is taken and purged over and over.
 */
export async function executeCommands(
  transaction: Transaction,
  commands: readonly Command[],
  free: ReadonlySet<string> = new Set(),
): Promise<readonly CommandAnswer[]> {
  const answers = new Map<number, CommandAnswer>();
  let queues = await queuesOf(transaction, commands, answers);
  let toLock = [...queues.keys()].filter((id) => !free.has(id));
  let lost = 0;
  while (queues.size > 0) {
    const before = answers.size;
    await carryOutWave(transaction, queues, toLock, answers);
    lost = answers.size === before ? lost + 1 : 0;
    if (lost > MAX_LOST_RACES) {
      throw new StoreConflictError("An instance ID was started and purged again and again. Try again.");
    }
    queues = unanswered(queues, answers);
    toLock = [...queues.keys()];
  }
  return commands.map((_, place) => {
    const answer = answers.get(place);
    if (answer === undefined) throw new EngineFaultError("a command was not carried out");
    return answer;
  });
}

/** A command, and its place among those of the call. */
interface Placed {
  readonly place: number;
  readonly command: Command;
}

/** By instance ID: the commands that are left, in their order. */
type Queues = ReadonlyMap<string, readonly Placed[]>;

/** Deletes the request messages that carried commands; where one was carried out or withdrawn before, it is void. */
async function queuesOf(
  transaction: Transaction,
  commands: readonly Command[],
  answers: Map<number, CommandAnswer>,
): Promise<Queues> {
  const carried = commands.flatMap(({ consumes }) => (consumes === undefined ? [] : [consumes]));
  const taken = await takeRequests(transaction, carried);
  const queues = new Map<string, Placed[]>();
  for (const [place, command] of commands.entries()) {
    if (command.consumes !== undefined && !taken.delete(command.consumes)) {
      answers.set(place, { outcome: "void" });
      continue;
    }
    const queue = queues.get(command.instanceId);
    if (queue === undefined) queues.set(command.instanceId, [{ place, command }]);
    else queue.push({ place, command });
  }
  return queues;
}

function unanswered(queues: Queues, answers: ReadonlyMap<number, CommandAnswer>): Queues {
  const left = new Map<string, readonly Placed[]>();
  for (const [instanceId, queue] of queues) {
    const rest = queue.filter(({ place }) => !answers.has(place));
    if (rest.length > 0) left.set(instanceId, rest);
  }
  return left;
}

/** What was decided for a command that writes. */
interface Decided extends Placed {
  readonly instance: Instance | undefined;
  readonly decision: Required<Decision>;
}

async function carryOutWave(
  transaction: Transaction,
  queues: Queues,
  toLock: readonly string[],
  answers: Map<number, CommandAnswer>,
): Promise<void> {
  const decided = await decideWave(transaction, queues, toLock, answers);
  const claims = claimsOf(decided);
  const late = await claimRequests(transaction, [...claims.values()]);
  const writing = decided.filter((one) => {
    const claim = claims.get(one);
    return claim === undefined || !late.has(claim);
  });
  const done = await applyChanges(transaction, writing);
  for (const [{ place }, answer] of done) answers.set(place, answer);
  const undone = writing.flatMap((one) => {
    const claim = claims.get(one);
    return claim === undefined || done.has(one) ? [] : [claim];
  });
  await withdrawClaims(transaction, undone);
}

/**
 * Locks the rows of these IDs and decides their first commands, answering those that write nothing. What comes
 * after them on the same ID is decided in the same wave as long as its row is left as core has seen it: after a
 * decision that writes nothing, or that adds an event.
 */
async function decideWave(
  { query, hub }: Transaction,
  queues: Queues,
  toLock: readonly string[],
  answers: Map<number, CommandAnswer>,
): Promise<readonly Decided[]> {
  const instances = await findInstances(query, hub, toLock, LOCK);
  // Only now: what others have committed before they let go of these rows must be seen.
  const pending = [...queues.values()].flatMap((queue) => queue.map(({ command }) => command));
  const remembered = await rememberedStarts(query, hub, pending);
  const executions = await findExecutions(query, pending, instances);
  const decided: Decided[] = [];
  for (const [instanceId, queue] of queues) {
    const instance = instances.get(instanceId);
    const found = instance === undefined ? undefined : foundOf(instance, executions.get(instance.iid));
    let written = false;
    for (const { place, command } of queue) {
      const { answer, change } = decide(command, found, remembered.get(command));
      if (change === undefined) {
        answers.set(place, answer);
        continue;
      }
      const adds = addsEvent(change);
      if (written && !adds) break;
      decided.push({ place, command, instance, decision: { answer, change } });
      if (!adds) break;
      written = true;
    }
  }
  return decided;
}

/** Whether a change leaves everything as it is that core looks at: it only brings mail. */
function addsEvent({ post }: Change): boolean {
  return post !== undefined && post.suspended === undefined;
}

function claimsOf(decided: readonly Decided[]): ReadonlyMap<Decided, Claim> {
  const claims = new Map<Decided, Claim>();
  for (const one of decided) {
    const { answer, change } = one.decision;
    if (change.remember === undefined) continue;
    if (!isStartAccepted(answer)) throw new EngineFaultError("only an accepted start is remembered");
    const { instanceId, atMs } = one.command;
    claims.set(one, { instanceId, requestId: change.remember.requestId, atMs, answer });
  }
  return claims;
}

/**
 * Writes the changes part by part, in the order that core's `Change` gives; those of different IDs do not touch each
 * other. Returns what each led to. A start that is missing there lost its ID to somebody else.
 */
async function applyChanges(
  transaction: Transaction,
  decided: readonly Decided[],
): Promise<ReadonlyMap<Decided, CommandAnswer>> {
  const ends: OutsideEnd[] = [];
  const purges: Instance[] = [];
  const beginnings: Beginning[] = [];
  const posts = new Map<Decided, Post>();
  const replies: Answer[] = [];
  for (const one of decided) {
    const { command, instance, decision } = one;
    const { endRun, purge, beginRun, post, answer } = decision.change;
    const { instanceId, atMs } = command;
    if (endRun !== undefined) ends.push({ instance: present(instance), end: endRun, atMs });
    if (purge === true) purges.push(present(instance));
    if (beginRun !== undefined) {
      beginnings.push({
        instanceId,
        begin: beginRun,
        atMs,
        ...(instance === undefined ? {} : { over: instance }),
      });
    }
    if (post !== undefined) {
      const { iid, run } = present(instance);
      posts.set(one, { iid, run, ...post });
    }
    if (answer !== undefined) replies.push(answer);
  }
  await endRunsFromOutside(transaction, ends);
  const children = await purgeInstances(transaction, purges);
  for (const { instance, decision } of decided) {
    if (decision.change.rewind !== undefined)
      await rewindInstance(transaction, present(instance), decision.change.rewind);
  }
  const began = await beginRuns(transaction, beginnings);
  const broken = await postMail(transaction, [...posts.values()]);
  for (const { instance, decision } of decided) {
    if (decision.change.wait !== undefined)
      await addWaiter(transaction, present(instance), decision.change.wait);
  }
  await mailAnswers(transaction, replies);
  const done = new Map<Decided, CommandAnswer>();
  for (const one of decided) {
    const { change, answer } = one.decision;
    const post = posts.get(one);
    const limit = post && broken.get(post);
    if (limit !== undefined) {
      done.set(one, { outcome: "full", runtimeStatus: runtimeStatusOf(present(one.instance)), ...limit });
    } else if (change.purge === true && one.instance !== undefined) {
      done.set(one, { outcome: "purged", children: children.get(one.instance.iid) ?? [] });
    } else if (change.beginRun === undefined) {
      done.set(one, answer);
    } else {
      const row = began.get(one.command.instanceId);
      if (row !== undefined && isStartAccepted(answer)) {
        done.set(one, { ...answer, run: row.run, generation: row.generation });
      } else if (one.instance !== undefined) {
        throw new EngineFaultError("a run was to begin on an ID that is held");
      }
    }
  }
  return done;
}

/**
 * Reads instances by their IDs. With `LOCK`, rows are locked in order of iid, and what is read is what was
 * committed last, after the wait for whoever held them.
 */
async function findInstances(
  query: Query,
  hub: number,
  instanceIds: Iterable<string>,
  lock: string,
): Promise<ReadonlyMap<string, Instance>> {
  const ids = [...instanceIds];
  if (ids.length === 0) return new Map();
  const rows = await query(
    `select ${INSTANCE_COLUMNS} from @inst i ${WRITER}
     where ${unindexed("i.hub")} = $1 and i.id = any($2::text[]) ${lock}`,
    [hub, ids],
  );
  return new Map(
    rows.map((row) => {
      const instance = instanceOf(new Row(row));
      return [instance.instanceId, instance];
    }),
  );
}

const LOCK = `order by ${unindexed("i.iid")} for update of i`;

// A row that was locked after a wait is evaluated again, but not what it was joined with: a subquery is.
const WRITER = "cross join lateral (select (select name from @writer where writer = i.writer) as name) w";

/** The current executions that decisions may ask for: those of ended instances that a parent may be answered with. */
async function findExecutions(
  query: Query,
  commands: readonly Command[],
  instances: ReadonlyMap<string, Instance>,
): Promise<ReadonlyMap<number, Execution>> {
  const iids = new Set<number>();
  for (const command of commands) {
    const start = command.kind === "rewind" ? command.orElse : command;
    const instance = instances.get(command.instanceId);
    if (start?.kind === "start" && start.parent !== undefined && instance && !isLive(instance.status))
      iids.add(instance.iid);
  }
  if (iids.size === 0) return new Map();
  const rows = await query(
    `select i.iid, ${EXECUTION_COLUMNS}
     from @inst i join @execution e on ${keyed("e.iid", "i.iid")} and e.generation = i.generation
     where i.iid = any($1::bigint[])`,
    [[...iids]],
  );
  return new Map(
    rows.map((columns) => {
      const row = new Row(columns);
      return [row.integer(), executionOf(row)];
    }),
  );
}

function foundOf(instance: Instance, execution?: Execution): Found {
  return {
    instance,
    execution: () => {
      if (execution === undefined) throw new EngineFaultError("a decision asked for an execution unread");
      return execution;
    },
  };
}

function isStartAccepted(answer: CommandAnswer): answer is StartAccepted {
  return "executionId" in answer;
}

function present(instance: Instance | undefined): Instance {
  if (instance === undefined) throw new EngineFaultError("a change was decided for an absent instance");
  return instance;
}
