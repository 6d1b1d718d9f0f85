import type { Command, CommandAnswer } from "../../core/command.js";
import { answerFromRead, carryOut } from "./commands.js";
import type { Connection } from "./connection.js";
import { type Fault, faultOf } from "./fault.js";
import type { Notice, Transaction } from "./transaction.js";
import { commitTurn, type Turn } from "./turns.js";
import type { Writers } from "./writers.js";

/** A command has a `kind`, a turn has none. */
export type Operation = Command | Turn;

/** A command's answer, or the fencing token of a turn (REFUSED where it was refused), or why it failed. */
export type OperationResult = CommandAnswer | number | FailedOperation;

export interface FailedOperation {
  readonly fault: Fault;
}

export interface BatchResult {
  readonly results: readonly OperationResult[];
  readonly notice: Notice;
}

export function isFailed(result: OperationResult): result is FailedOperation {
  return typeof result === "object" && "fault" in result;
}

/**
 * Carries out operations in order, all in one transaction with one flush. Each checks its guard before
 * it writes, so that one that is refused leaves no trace among the others. One that throws takes the
 * whole transaction back; then each gets a transaction of its own, and only the guilty one fails.
 */
export function runBatch(
  connection: Connection,
  hub: number,
  writers: Writers,
  operations: readonly Operation[],
): BatchResult {
  const results = answersFromRead(connection, hub, operations);
  const rest = operations.slice(results.length);
  if (rest.length === 0) return { results, notice: { messages: false, nextDueMs: undefined } };
  try {
    const written = runTogether(connection, hub, writers, rest);
    return { results: [...results, ...written.results], notice: written.notice };
  } catch (error) {
    const fault = faultOf(error, connection.description);
    if (fault.kind !== "engine") {
      return {
        results: [...results, ...rest.map(() => ({ fault }))],
        notice: { messages: false, nextDueMs: undefined },
      };
    }
    const written = runApart(connection, hub, writers, rest);
    return { results: [...results, ...written.results], notice: written.notice };
  }
}

/** The answers to the operations at the front that need no write lock. */
function answersFromRead(
  connection: Connection,
  hub: number,
  operations: readonly Operation[],
): OperationResult[] {
  const answers: OperationResult[] = [];
  for (const operation of operations) {
    if (!isCommand(operation)) break;
    try {
      const answer = answerFromRead(connection, hub, operation);
      if (answer === undefined) break;
      answers.push(answer);
    } catch {
      break; // it fails again in the transaction, where failures are handled
    }
  }
  return answers;
}

function runTogether(
  connection: Connection,
  hub: number,
  writers: Writers,
  operations: readonly Operation[],
): BatchResult {
  const notice: Notice = { messages: false, nextDueMs: undefined };
  const writerOf = (worker: string): number => writers.of(worker);
  const transaction: Transaction = { connection, hub, writerOf, notice };
  try {
    const results = connection.transaction(() =>
      operations.map((operation) =>
        isCommand(operation) ? carryOut(transaction, operation) : commitTurn(transaction, operation),
      ),
    );
    return { results, notice };
  } catch (error) {
    writers.forget();
    throw error;
  }
}

function runApart(
  connection: Connection,
  hub: number,
  writers: Writers,
  operations: readonly Operation[],
): BatchResult {
  const notice: Notice = { messages: false, nextDueMs: undefined };
  const results = operations.map((operation): OperationResult => {
    try {
      const {
        results: [result],
        notice: own,
      } = runTogether(connection, hub, writers, [operation]);
      if (own.messages) notice.messages = true;
      if (own.nextDueMs !== undefined) {
        notice.nextDueMs = Math.min(own.nextDueMs, notice.nextDueMs ?? own.nextDueMs);
      }
      if (result === undefined) throw new TypeError("an operation gave no result");
      return result;
    } catch (error) {
      return { fault: faultOf(error, connection.description) };
    }
  });
  return { results, notice };
}

function isCommand(operation: Operation): operation is Command {
  return "kind" in operation;
}
