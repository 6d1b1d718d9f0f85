import type { RewindCommand } from "../../core/command.js";
import { EngineFaultError } from "../../core/errors.js";
import type { Instance } from "../../core/instance.js";
import { Row, STATUS_CODES } from "../rows.js";
import { retireExecution } from "./begin-run.js";
import { mailGeneration, sendRequests, setTimers } from "./messages.js";
import type { Transaction } from "./transaction.js";

/** Puts a failed instance back to Pending, in a new generation whose first chunk is the rewritten history. */
export async function rewindInstance(
  transaction: Transaction,
  instance: Instance,
  command: RewindCommand,
): Promise<void> {
  const { query, hub } = transaction;
  const { iid } = instance;
  const { atMs, executionId, parent } = command;
  const [updated] = await query(
    // A child that is rewound by itself keeps its link: nobody waits, but it is still that run's child.
    `update @inst set
       generation = generation + 1, sequence = 1, token = token + 1, status = 0, suspended = 0, parked = null,
       execution_id = $1, activities = $2, updated = $3,
       parent_iid = coalesce($4, parent_iid), parent_run = coalesce($5, parent_run), parent = coalesce($6, parent)
     where iid = $7 and hub = $8 and generation = $9 and sequence = $10 and status = ${STATUS_CODES.Failed}
     returning shard, run, generation, token, mail`,
    [
      executionId,
      command.activities,
      atMs,
      parent?.iid ?? null,
      parent?.run ?? null,
      parent === undefined ? null : JSON.stringify(parent),
      iid,
      hub,
      instance.generation,
      instance.sequence,
    ],
  );
  if (updated === undefined)
    throw new EngineFaultError("an instance was to be rewound that is no longer failed");
  const row = new Row(updated);
  const rewound = {
    iid,
    shard: row.integer(),
    run: row.integer(),
    generation: row.integer(),
    token: row.integer(),
    mail: row.integer(),
  };
  await query(
    `insert into @execution (
       iid, generation, hub, execution_id, run, name, version, tags, token, created, custom_status, input
     )
     select iid, $1, hub, $2, run, name, version, tags, $3, $4, custom_status, input from @execution
     where iid = $5 and generation = $6`,
    [rewound.generation, executionId, rewound.token, atMs, iid, instance.generation],
  );
  await retireExecution(transaction, iid, instance.generation);
  await query("insert into @hist (iid, generation, sequence, chunk) values ($1, $2, 1, $3)", [
    iid,
    rewound.generation,
    command.history,
  ]);
  await setTimers(transaction, rewound, command.timers);
  await sendRequests(transaction, rewound, command.requests);
  await mailGeneration(transaction, rewound, command.mail);
}
