import {
  type Change,
  type Command,
  type CommandAnswer,
  type Decision,
  decide,
  type Found,
  type StartAccepted,
} from "../../core/command.js";
import { EngineFaultError } from "../../core/errors.js";
import type { Chunk } from "../../core/history-codec.js";
import { type Instance, type ParentLink, runtimeStatusOf } from "../../core/instance.js";
import {
  type BrokenMailLimit,
  brokenMailLimit,
  type MailLimit,
  mailWaiting,
  roomWithoutLook,
} from "../../core/mail-limit.js";
import { shardOf } from "../../core/shard.js";
import {
  EXECUTION_COLUMNS,
  executionOf,
  INSTANCE_COLUMNS,
  INSTANCE_TABLES,
  instanceOf,
  optionalRow,
  Row,
} from "../rows.js";
import { beginRun } from "./begin-run.js";
import type { Connection } from "./connection.js";
import { endRunFromOutside } from "./end-run.js";
import { mailAnswer, mailRun } from "./messages.js";
import { purgeInstance } from "./purge.js";
import { rewindInstance } from "./rewind.js";
import type { Transaction } from "./transaction.js";

/** For how long a retried start is told what the first one was told: 24 h. */
const REQUEST_ID_LIFE_MS = 24 * 60 * 60 * 1000;

/** Expired request IDs that each new one takes along: more than one, so that they never pile up. */
const SWEEP_LIMIT = 8;

/**
 * Answers a command from a plain read where that is the whole truth: a start that is refused, or told
 * of what is there, writes nothing, and must not wait for the file's one write lock either.
 */
export function answerFromRead(
  connection: Connection,
  hub: number,
  command: Command,
): CommandAnswer | undefined {
  if (command.kind !== "start" || command.consumes !== undefined) return undefined;
  const { answer, change } = decideFromRead(connection, hub, command).decision;
  return change === undefined ? answer : undefined;
}

/** Carries out a command in an open transaction: reads the row, lets core decide, writes what it decided. */
export function carryOut(transaction: Transaction, command: Command): CommandAnswer {
  const { connection, hub } = transaction;
  if (command.consumes !== undefined && !deleteRequest(transaction, command.consumes))
    return { outcome: "void" };
  const { decision, instance } = decideFromRead(connection, hub, command);
  const { answer, change } = decision;
  return change === undefined ? answer : apply(transaction, command, instance, change, answer);
}

/** False when the request was carried out, or withdrawn, before. */
function deleteRequest({ connection, hub }: Transaction, n: number): boolean {
  const { changes } = connection
    .sql("delete from message where n = ? and hub = ? and target is not null")
    .run(n, hub);
  return Number(changes) === 1;
}

function decideFromRead(
  connection: Connection,
  hub: number,
  command: Command,
): { decision: Decision; instance: Instance | undefined } {
  const found = find(connection, hub, command.instanceId);
  return {
    decision: decide(command, found, remembered(connection, hub, command)),
    instance: found?.instance,
  };
}

function find(connection: Connection, hub: number, instanceId: string): Found | undefined {
  const row = optionalRow(
    connection
      .sql(`select ${INSTANCE_COLUMNS} from ${INSTANCE_TABLES} where i.hub = ? and i.id = ?`)
      .get(hub, instanceId),
  );
  if (row === undefined) return undefined;
  const instance = instanceOf(row);
  const execution = (): ReturnType<typeof executionOf> =>
    executionOf(
      new Row(
        connection
          .sql(
            `select ${EXECUTION_COLUMNS} from inst i join execution e on e.iid = i.iid and e.generation = i.generation
             where i.iid = ?`,
          )
          .get(instance.iid),
      ),
    );
  return { instance, execution };
}

/** Carries out the parts of a change in the order that {@link Change} gives. */
function apply(
  transaction: Transaction,
  command: Command,
  instance: Instance | undefined,
  change: Change,
  decided: CommandAnswer,
): CommandAnswer {
  let answer = decided;
  const { instanceId, atMs } = command;
  if (change.endRun !== undefined) endRunFromOutside(transaction, present(instance), change.endRun, atMs);
  if (change.purge === true) {
    answer = { outcome: "purged", children: purgeInstance(transaction, present(instance)) };
  }
  if (change.rewind !== undefined) rewindInstance(transaction, present(instance), change.rewind);
  if (change.beginRun !== undefined) {
    const began = beginRun(transaction, instanceId, change.beginRun, atMs);
    if (began === undefined) throw new EngineFaultError("a run was to begin on an ID that is held");
    if (isStartAccepted(answer)) answer = { ...answer, run: began.run, generation: began.generation };
  }
  if (change.post !== undefined) {
    const broken = post(transaction, present(instance), change.post);
    if (broken !== undefined)
      return { outcome: "full", runtimeStatus: runtimeStatusOf(present(instance)), ...broken };
  }
  if (change.wait !== undefined) wait(transaction, present(instance), change.wait);
  if (change.answer !== undefined) mailAnswer(transaction, change.answer.to, change.answer.events);
  if (change.remember !== undefined) remember(transaction, command, change.remember.requestId, answer);
  return answer;
}

/** No progress of the run: `updated` stays. Writes nothing where the limit is reached. */
function post(
  transaction: Transaction,
  instance: Instance,
  { events, suspended, limit }: NonNullable<Change["post"]>,
): BrokenMailLimit | undefined {
  const broken = limit && brokenLimit(transaction, instance, limit, events);
  if (broken !== undefined) return broken;
  const { iid, run, generation } = instance;
  const mail = raiseMail(transaction, instance);
  if (suspended !== undefined) {
    transaction.connection.sql("update inst set suspended = ? where iid = ?").run(suspended ? 1 : 0, iid);
  }
  mailRun(transaction, { iid, run, generation, mail, shard: shardOf(instance.instanceId) }, events);
  return undefined;
}

/** What is read here stays so: there is one write transaction at a time. */
function brokenLimit(
  { connection }: Transaction,
  { iid, mail }: Instance,
  limit: MailLimit,
  event: Chunk,
): BrokenMailLimit | undefined {
  const room = roomWithoutLook(limit, event);
  // No more has ever come: the common road needs no statement for it.
  if (mail + 1 <= room) return undefined;
  // In the order of the index message_mail: the first is the oldest.
  const oldest = optionalRow(
    connection.sql("select mail from message where iid = ? and run is not null order by n limit 1").get(iid),
  );
  const count = mailWaiting(mail, oldest?.integer());
  if (count + 1 <= room) return undefined;
  // Whoever is refused for the number of events costs no count of their sizes, however often.
  const bytes = count < limit.events ? bytesWaiting(connection, iid) : 0;
  return brokenMailLimit(limit, { events: count, bytes }, { text: event, bytes: Buffer.byteLength(event) });
}

function bytesWaiting(connection: Connection, iid: number): number {
  const sum = "select coalesce(sum(octet_length(body)), 0) from message where iid = ? and run is not null";
  return new Row(connection.sql(sum).get(iid)).integer();
}

function wait(transaction: Transaction, instance: Instance, waiter: ParentLink): void {
  raiseMail(transaction, instance);
  transaction.connection
    .sql("insert into waiter (iid, waiting_iid, waiting_generation, waiting_task) values (?, ?, ?, ?)")
    .run(instance.iid, waiter.iid, waiter.generation, waiter.task);
}

/** The last turn of the run has seen a mail counter; it is refused once this one is above it. */
function raiseMail({ connection, hub }: Transaction, { iid, run, mail }: Instance): number {
  // Without `returning`, which would double what the statement costs.
  const { changes } = connection
    .sql("update inst set mail = mail + 1 where iid = ? and hub = ? and run = ? and mail = ? and status < 2")
    .run(iid, hub, run, mail);
  if (Number(changes) !== 1) throw new EngineFaultError("mail was accepted for a run that has ended");
  return mail + 1;
}

function remembered(connection: Connection, hub: number, command: Command): StartAccepted | undefined {
  if (command.kind !== "start" || command.requestId === undefined) return undefined;
  const row = optionalRow(
    connection
      .sql("select answer from request where hub = ? and id = ? and request_id = ? and created > ?")
      .get(hub, command.instanceId, command.requestId, command.atMs - REQUEST_ID_LIFE_MS),
  );
  if (row === undefined) return undefined;
  const answer = row.json();
  if (!isRemembered(answer)) throw new EngineFaultError("a remembered start cannot be read");
  return answer;
}

function remember(
  { connection, hub }: Transaction,
  { instanceId, atMs }: Command,
  requestId: string,
  answer: CommandAnswer,
): void {
  if (!isStartAccepted(answer)) throw new EngineFaultError("only an accepted start is remembered");
  connection
    .sql(
      `delete from request where hub = ? and (id, request_id) in (
         select id, request_id from request where hub = ? and created <= ? order by created limit ?
       )`,
    )
    .run(hub, hub, atMs - REQUEST_ID_LIFE_MS, SWEEP_LIMIT);
  connection
    .sql("insert or replace into request (hub, id, request_id, created, answer) values (?, ?, ?, ?, ?)")
    .run(hub, instanceId, requestId, atMs, JSON.stringify(answer));
}

/** The text never leaves our own store: what we read is what we wrote. */
function isRemembered(answer: unknown): answer is StartAccepted {
  return typeof answer === "object" && answer !== null && "executionId" in answer;
}

function isStartAccepted(answer: CommandAnswer): answer is StartAccepted {
  return "executionId" in answer;
}

function present(instance: Instance | undefined): Instance {
  if (instance === undefined) throw new EngineFaultError("a change was decided for an absent instance");
  return instance;
}
