import type { Query } from "./query.js";

/** What decides whether something acknowledged can be lost. Absent: the server does not say. */
export interface DurabilityFacts {
  readonly fsync: boolean | undefined;
  readonly fullPageWrites: boolean | undefined;
  /** `on`, `off`, `local`, `remote_write`, `remote_apply`. */
  readonly synchronousCommit: string | undefined;
  /** Which standbys commits wait for: empty for none. */
  readonly synchronousStandbyNames: string | undefined;
  /** `sync`, `quorum`, `potential` or `async` for each connected standby; undefined where we may not see which. */
  readonly standbys: readonly (string | undefined)[];
}

/** What whoever runs this server should know: how something that was acknowledged can be lost. */
export async function durabilityWarnings(query: Query): Promise<readonly string[]> {
  return warningsOf(await readFacts(query));
}

/** The warnings for what a server says of itself. */
export function warningsOf(facts: DurabilityFacts): readonly string[] {
  const warnings: string[] = [];
  if (facts.fsync === false) {
    warnings.push(
      "The database's fsync is off: a power loss can lose what was acknowledged, and damage the database. " +
        "Set fsync = on.",
    );
  }
  if (facts.fullPageWrites === false) {
    warnings.push(
      "The database's full_page_writes is off: unless its file system writes whole pages, a power loss can damage it. " +
        "Set full_page_writes = on.",
    );
  }
  if (facts.synchronousCommit === "off") {
    warnings.push(
      "The database's synchronous_commit is off: if it crashes, starts and events that were acknowledged in the last " +
        "second can be lost. Set synchronous_commit = on for this user.",
    );
  } else {
    const failover = failoverWarning(facts);
    if (failover !== undefined) warnings.push(failover);
  }
  return warnings;
}

function failoverWarning(facts: DurabilityFacts): string | undefined {
  const { standbys, synchronousStandbyNames, synchronousCommit } = facts;
  const lost = "at a failover, starts and events that were acknowledged can be lost";
  if (synchronousCommit === "local" && (standbys.length > 0 || (synchronousStandbyNames ?? "") !== "")) {
    return `The database's synchronous_commit is local, so that commits wait for no standby: ${lost}. Set it to on.`;
  }
  const asynchronous =
    standbys.length > 0 && (synchronousStandbyNames === "" || standbys.every((state) => state === "async"));
  if (!asynchronous) return undefined;
  const which =
    standbys.length === 1
      ? "The database's only standby"
      : `Each of the database's ${standbys.length} standbys`;
  return `${which} is asynchronous: ${lost}. Set synchronous_standby_names.`;
}

/** Reads what this user may see; needs no rights. Not within a transaction: some servers refuse some of it. */
export async function readFacts(query: Query): Promise<DurabilityFacts> {
  const settings = new Map(
    (await readable(query, SETTINGS)).map(([name, setting]) => [String(name), String(setting)]),
  );
  const standbys = await readable(query, STANDBYS);
  return {
    fsync: flag(settings.get("fsync")),
    fullPageWrites: flag(settings.get("full_page_writes")),
    synchronousCommit: settings.get("synchronous_commit"),
    synchronousStandbyNames: settings.get("synchronous_standby_names"),
    standbys: standbys.map(([state]) => (typeof state === "string" ? state : undefined)),
  };
}

const SETTINGS =
  "select name, setting from pg_catalog.pg_settings where name in " +
  "('fsync', 'full_page_writes', 'synchronous_commit', 'synchronous_standby_names')";

/** Backups and logical subscribers look like standbys, and are none. */
const STANDBYS =
  "select r.sync_state from pg_catalog.pg_stat_replication r where r.state is distinct from 'backup' and not exists " +
  "(select 1 from pg_catalog.pg_replication_slots s where s.active_pid = r.pid and s.slot_type = 'logical')";

/** No rows where the server has no such view, or does not let us see it. */
async function readable(query: Query, sql: string): ReturnType<Query> {
  try {
    return await query(sql);
  } catch {
    return [];
  }
}

function flag(setting: string | undefined): boolean | undefined {
  return setting === undefined ? undefined : setting === "on";
}
