import { setImmediate as nextRound } from "node:timers/promises";
import { StoreClosedError } from "../core/errors.js";

/** How many operations one group takes at most: beyond about 500 only the waiting grows. */
const GROUP_LIMIT = 512;

/** Why an operation failed although its group was carried out. */
export class Failure {
  constructor(readonly error: Error) {}
}

/**
 * Gathers operations into groups: whatever came in while the last group was out goes with the next one,
 * with no timer. An idle store commits at once; a busy one forms large groups by itself.
 *
 * `far` is for groups that travel to a server: each costs a round trip, so it is worth a round of the event loop to
 * let more come along. Else whoever once missed the others' group would go alone, in turn with theirs, for ever.
 */
export class GroupCommit<Operation, Result> {
  readonly #run: (group: readonly Operation[]) => Promise<readonly (Result | Failure)[]>;
  readonly #far: boolean;
  readonly #calls: Call<Operation, Result>[] = [];
  #waiting = 0;
  #busy: Promise<void> | undefined;
  #closed = false;

  /** @param run carries out a group; it rejects where it has carried out nothing, or can carry out nothing more. */
  constructor(
    run: (group: readonly Operation[]) => Promise<readonly (Result | Failure)[]>,
    { far = false }: { readonly far?: boolean } = {},
  ) {
    this.#run = run;
    this.#far = far;
  }

  /** Results in order; rejects with the first failure among them. */
  submit(operations: readonly Operation[]): Promise<readonly Result[]> {
    if (this.#closed) return Promise.reject(new StoreClosedError());
    if (operations.length === 0) return Promise.resolve([]);
    return new Promise((resolve, reject) => {
      this.#calls.push({ operations, taken: 0, results: [], failure: undefined, resolve, reject });
      this.#waiting += operations.length;
      this.#busy ??= this.#drain();
    });
  }

  /** Takes no more, and waits until what was gathered is carried out. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#busy;
  }

  async #drain(): Promise<void> {
    // Once all microtasks have run, so that everything this tick asks for shares the first commit.
    await (this.#far ? nextRound() : nextTick());
    let before = 0;
    while (this.#calls.length > 0) {
      // Much fewer than went before: those are answered now, and what follows from that may come along.
      if (this.#far && this.#waiting < before / 2) await nextRound();
      before = this.#waiting;
      await this.#runGroup(this.#takeGroup());
    }
    this.#busy = undefined;
  }

  #takeGroup(): Share<Operation, Result>[] {
    const shares: Share<Operation, Result>[] = [];
    let room = GROUP_LIMIT;
    let finished = 0;
    for (const call of this.#calls) {
      const from = call.taken;
      const to = Math.min(call.operations.length, from + room);
      call.taken = to;
      room -= to - from;
      shares.push({ call, from, to });
      if (to === call.operations.length) finished++;
      if (room === 0) break;
    }
    this.#calls.splice(0, finished);
    this.#waiting -= GROUP_LIMIT - room;
    return shares;
  }

  async #runGroup(shares: readonly Share<Operation, Result>[]): Promise<void> {
    const group: Operation[] = [];
    for (const { call, from, to } of shares) {
      for (let index = from; index < to; index++) {
        const operation = call.operations[index];
        if (operation !== undefined) group.push(operation);
      }
    }
    settle(shares, await this.#carryOut(group));
  }

  /** A group that is refused as a whole was not carried out: its operations are tried alone, so that only the guilty fail. */
  async #carryOut(group: readonly Operation[]): Promise<readonly (Result | Failure)[]> {
    try {
      return await this.#run(group);
    } catch (error) {
      if (group.length === 1) return [new Failure(error instanceof Error ? error : new Error(String(error)))];
      const results: (Result | Failure)[] = [];
      for (const operation of group) results.push(...(await this.#carryOut([operation])));
      return results;
    }
  }
}

interface Call<Operation, Result> {
  readonly operations: readonly Operation[];
  taken: number;
  readonly results: Result[];
  failure: Failure | undefined;
  readonly resolve: (results: readonly Result[]) => void;
  readonly reject: (error: Error) => void;
}

/** The part of a call that goes with one group. */
interface Share<Operation, Result> {
  readonly call: Call<Operation, Result>;
  readonly from: number;
  readonly to: number;
}

function settle<Operation, Result>(
  shares: readonly Share<Operation, Result>[],
  results: readonly (Result | Failure)[],
): void {
  let next = 0;
  for (const { call, from, to } of shares) {
    for (let index = from; index < to; index++) {
      const result = results[next++];
      if (result instanceof Failure) call.failure ??= result;
      else if (result !== undefined) call.results.push(result);
    }
    if (to < call.operations.length) continue;
    if (call.failure === undefined) call.resolve(call.results);
    else call.reject(call.failure.error);
  }
}

function nextTick(): Promise<void> {
  return new Promise((resolve) => {
    process.nextTick(resolve);
  });
}
