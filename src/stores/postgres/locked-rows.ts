import type { Command, CommandAnswer } from "../../core/command.js";
import { Failure } from "../group-commit.js";
import { isTimeOut } from "./fault.js";

/** How long a group waits for a lock. Longer than PostgreSQL takes to find a deadlock, which is tried again as it is. */
const GROUP_LOCK_MS = 1_200;

/** The same for each ID of a group that has waited in vain: most rows are free, and one that is not is left for later. */
const FIRST_LOCK_MS = 20;

/** How long those that were not free are waited for, together: what comes next waits behind them. */
const LAST_LOCKS_MS = 3_000;

/** Carries out commands in one transaction; rejects where a lock was waited for longer than that. */
export type Write = (
  commands: readonly Command[],
  lockTimeoutMs?: number,
) => Promise<readonly (CommandAnswer | Failure)[]>;

/**
 * Carries out a group of commands though somebody may hold the row of one of them: then each instance ID is tried
 * alone, the others first, and only the commands fail whose row stays locked.
 */
export async function writeAroundLocks(
  write: Write,
  commands: readonly Command[],
): Promise<readonly (CommandAnswer | Failure)[]> {
  const places = placesById(commands);
  // Nobody else's command is in it: the server's own limit will do.
  if (places.length <= 1) return write(commands);
  try {
    return await write(commands, GROUP_LOCK_MS);
  } catch (error) {
    if (!isTimeOut(error)) throw error;
  }
  const answers: (CommandAnswer | Failure)[] = [];
  const attempt = async (of: readonly number[], lockTimeoutMs: number): Promise<Error | undefined> => {
    try {
      const own = of.flatMap((place) => commands[place] ?? []);
      for (const [nth, answer] of (await write(own, lockTimeoutMs)).entries()) {
        const place = of[nth];
        if (place !== undefined) answers[place] = answer;
      }
      return undefined;
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  };
  const fail = (of: readonly number[], error: Error): void => {
    for (const place of of) answers[place] = new Failure(error);
  };
  const locked: { readonly of: readonly number[]; readonly error: Error }[] = [];
  for (const of of places) {
    const error = await attempt(of, FIRST_LOCK_MS);
    if (error === undefined) continue;
    if (isTimeOut(error)) locked.push({ of, error });
    else fail(of, error);
  }
  const lastMs = performance.now() + LAST_LOCKS_MS;
  for (const { of, error } of locked) {
    const leftMs = Math.round(lastMs - performance.now());
    const last = leftMs < FIRST_LOCK_MS ? error : await attempt(of, Math.min(leftMs, GROUP_LOCK_MS));
    if (last !== undefined) fail(of, last);
  }
  return answers;
}

/** The places of each ID's commands, in their order. */
function placesById(commands: readonly Command[]): readonly (readonly number[])[] {
  const places = new Map<string, number[]>();
  for (const [place, { instanceId }] of commands.entries()) {
    const own = places.get(instanceId);
    if (own === undefined) places.set(instanceId, [place]);
    else own.push(place);
  }
  return [...places.values()];
}
