import type { RewindCommand } from "../../core/command.js";
import { EngineFaultError } from "../../core/errors.js";
import type { Instance } from "../../core/instance.js";
import { Row, STATUS_CODES } from "../rows.js";
import { retireExecution } from "./begin-run.js";
import { mailGeneration, sendRequests, setTimers } from "./messages.js";
import type { Transaction } from "./transaction.js";

/** Puts a failed instance back to Pending, in a new generation whose first chunk is the rewritten history. */
export function rewindInstance(transaction: Transaction, instance: Instance, command: RewindCommand): void {
  const { connection, hub } = transaction;
  const { iid } = instance;
  const { atMs, executionId, parent } = command;
  const updated = connection
    .sql(
      // A child that is rewound by itself keeps its link: nobody waits, but it is still that run's child.
      `update inst set
         generation = generation + 1, sequence = 1, token = token + 1, status = 0, suspended = 0, parked = null,
         execution_id = ?, activities = ?, updated = ?,
         parent_iid = coalesce(?, parent_iid), parent_run = coalesce(?, parent_run), parent = coalesce(?, parent)
       where iid = ? and hub = ? and generation = ? and sequence = ? and status = ${STATUS_CODES.Failed}
       returning shard, run, generation, token, mail`,
    )
    .get(
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
  connection
    .sql(
      `insert into execution (
         iid, generation, hub, execution_id, run, name, version, tags, token, created, custom_status, input
       )
       select iid, ?, hub, ?, run, name, version, tags, ?, ?, custom_status, input from execution
       where iid = ? and generation = ?`,
    )
    .run(rewound.generation, executionId, rewound.token, atMs, iid, instance.generation);
  retireExecution(transaction, iid, instance.generation);
  connection
    .sql("insert into hist (iid, generation, sequence, chunk) values (?, ?, 1, ?)")
    .run(iid, rewound.generation, command.history);
  setTimers(transaction, rewound, command.timers);
  sendRequests(transaction, rewound, command.requests);
  mailGeneration(transaction, rewound, command.mail);
}
