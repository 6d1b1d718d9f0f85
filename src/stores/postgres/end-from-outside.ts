import type { RunEnd } from "../../core/command.js";
import { EngineFaultError } from "../../core/errors.js";
import type { Instance, ParentLink } from "../../core/instance.js";
import { STATUS_CODES } from "../rows.js";
import { finishRuns } from "./end-run.js";
import { keyed, unindexed } from "./keyed.js";
import type { Transaction } from "./transaction.js";

/** A live run that a command ends. */
export interface OutsideEnd {
  /** As it was locked. */
  readonly instance: Pick<Instance, "iid" | "run" | "generation" | "sequence"> & {
    readonly parent?: ParentLink;
  };
  readonly end: RunEnd;
  readonly atMs: number;
}

/** Ends live runs from outside: one more commit of each one's generation, though no worker made it. */
export async function endRunsFromOutside(
  transaction: Transaction,
  ends: readonly OutsideEnd[],
): Promise<void> {
  if (ends.length === 0) return;
  const ended = await transaction.query(END_RUNS, [
    transaction.hub,
    ends.map(({ instance }) => instance.iid),
    ends.map(({ instance }) => instance.generation),
    ends.map(({ instance }) => instance.sequence),
    ends.map(({ end }) => STATUS_CODES[end.status]),
    ends.map(({ atMs }) => atMs),
    ends.map(({ end }) => end.chunk ?? null),
  ]);
  if (ended.length !== ends.length)
    throw new EngineFaultError("a run was to be ended that is no longer live");
  await finishRuns(
    transaction,
    ends.map(({ instance: { iid, run, generation, parent }, end, atMs }) => ({
      iid,
      run,
      generation,
      ...(parent === undefined ? {} : { parent }),
      end,
      atMs,
    })),
  );
}

const END_RUNS = `
  with the_end as (
    select * from unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::smallint[], $6::bigint[], $7::text[])
      as e (iid, generation, sequence, status, at, chunk)
  ), ended as (
    update @inst i set
      status = e.status, sequence = i.sequence + 1, activities = 0, parked = null, updated = e.at
    from the_end e
    where ${keyed("i.iid", "e.iid")} and ${unindexed("i.hub")} = $1
      and i.generation = e.generation and i.sequence = e.sequence and ${unindexed("i.status")} < 2
    returning i.iid, i.generation, i.sequence, e.chunk
  ), recorded as (
    insert into @hist (iid, generation, sequence, chunk)
    select iid, generation, sequence, chunk from ended where chunk is not null
  )
  select iid from ended`;
