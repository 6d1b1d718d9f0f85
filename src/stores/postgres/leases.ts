import { EngineFaultError } from "../../core/errors.js";
import type { Leases, Member, Membership } from "../../core/leases.js";
import type { WorkerInfo } from "../../core/store.js";
import { Row } from "../rows.js";
import { inTime } from "./in-time.js";
import { COMING_BACK_MS, type LeaseTimes, parseLeaseTimes } from "./lease-times.js";
import type { LockSession } from "./lock-session.js";
import type { Query } from "./query.js";
import { hideWorker, leaseUntil, showWorker } from "./workers.js";

export interface LeaseParts {
  /** Runs each statement in a transaction of its own. */
  readonly query: Query;
  readonly hub: number;
  /** Absent where sessions cannot be kept: then a worker is dead when its lease has ended, and not before. */
  readonly locks?: LockSession | undefined;
  readonly times?: Partial<LeaseTimes>;
  /** Shards are free, or someone came or went: others may look before their next renewal. */
  readonly changed?: () => void;
}

/** How long a renewal waits to hear which of the late workers are gone: in vain where the session is lost silently. */
const LOOK_MS = 500;

const NOBODY: ReadonlySet<string> = new Set();

/**
 * The tables @worker and @shard. A shard has one owner, because that is one column of one row; the statement that
 * claims it waits for whoever writes the row and looks at it again. Whether the *former* owner lives it reads from
 * its snapshot, so that a worker that joined in the meantime may lose at once what it has just claimed. It learns
 * that with its next renewal; until then two workers believe that they own the shard, which costs work and harms
 * nothing.
 *
 * All times are the database's: its clock alone says who is late.
 */
export class PostgresLeases implements Leases {
  readonly leaseMs: number;
  readonly renewMs: number;
  readonly #lateMs: number;
  readonly #query: Query;
  readonly #hub: number;
  readonly #locks: LockSession | undefined;
  readonly #changed: () => void;
  /** The workers of this process, to join again with. */
  readonly #joined = new Map<string, Joined>();
  /** For workers that are gone; one at a time. */
  #look: Promise<ReadonlySet<string>> | undefined;

  constructor({ query, hub, locks, times, changed }: LeaseParts) {
    const { leaseMs, renewMs, lateMs } = parseLeaseTimes(times ?? {});
    this.leaseMs = leaseMs;
    this.renewMs = renewMs;
    this.#lateMs = lateMs;
    this.#query = query;
    this.#hub = hub;
    this.#locks = locks;
    this.#changed = changed ?? (() => {});
  }

  /** Shows the worker to others, alive until its lease ends. */
  async join(worker: WorkerInfo): Promise<void> {
    const joined: Joined = { info: worker, draining: false, renewal: undefined };
    this.#joined.set(worker.id, joined);
    // First the lock: a row without one would be of a dead worker.
    await this.#locks?.hold(worker.id);
    await showWorker(this.#query, this.#hub, worker, { leaseMs: this.leaseMs, draining: false });
    this.#changed();
  }

  /** The worker is about to be gone: its shards are free, and its row is deleted. */
  async leave(worker: string): Promise<void> {
    const joined = this.#joined.get(worker);
    if (joined === undefined) return;
    this.#joined.delete(worker);
    // A renewal that finds the row gone would write it again.
    await joined.renewal?.catch(() => {});
    await hideWorker(this.#query, this.#hub, worker);
    this.#changed();
    await this.#locks?.release(worker);
  }

  async renew(worker: string, load?: number): Promise<Membership> {
    const joined = this.#joined.get(worker);
    if (joined === undefined)
      throw new EngineFaultError(`worker ${worker} renews a lease without having joined`);
    // Where its session was lost. Until it has the lock again it must only not be late.
    this.#locks?.hold(worker).catch(() => {});
    const renewal = this.#renewOrJoin(joined, load);
    joined.renewal = renewal;
    const seen = await renewal;
    const gone = await this.#findGone(seen.late);
    const workers = seen.workers.filter(({ id }) => !gone.has(id));
    const alive = new Set(workers.map(({ id }) => id));
    const owners = new Map([...seen.owners].filter(([, owner]) => alive.has(owner)));
    return { nowMs: seen.nowMs, workers, owners };
  }

  async claim(worker: string, shards: readonly number[]): Promise<readonly number[]> {
    if (shards.length === 0) return [];
    const rows = await this.#query(CLAIM, [this.#hub, worker, shards]);
    return rows.map((row) => new Row(row).integer());
  }

  async release(worker: string, shards: readonly number[]): Promise<void> {
    if (shards.length === 0) return;
    await this.#query(
      "update @shard set owner = null where hub = $1 and owner = $2 and shard = any($3::smallint[])",
      [this.#hub, worker, shards],
    );
    this.#changed();
  }

  async drain(worker: string): Promise<void> {
    const joined = this.#joined.get(worker);
    if (joined !== undefined) joined.draining = true;
    await this.#query("update @worker set draining = true where hub = $1 and id = $2", [this.#hub, worker]);
    this.#changed();
  }

  async #renewOrJoin(joined: Joined, load: number | undefined): Promise<Seen> {
    const { info } = joined;
    const seen = await this.#renew(info.id, load);
    if (seen.draining) joined.draining = true;
    if (seen.renewed || !this.#joined.has(info.id)) return seen;
    await showWorker(this.#query, this.#hub, info, { leaseMs: this.leaseMs, draining: joined.draining });
    this.#changed();
    return this.#renew(info.id, load);
  }

  async #renew(worker: string, load: number | undefined): Promise<Seen> {
    const rows = await this.#query(RENEW, [this.#hub, worker, this.leaseMs, this.#lateMs, load ?? null]);
    const workers: Member[] = [];
    const late: string[] = [];
    const owners = new Map<number, string>();
    const me = { renewed: false, draining: false };
    let nowMs = 0;
    for (const columns of rows) {
      const row = new Row(columns);
      const now = row.optionalInteger();
      if (now !== undefined) {
        nowMs = now;
        continue;
      }
      const id = row.text();
      const shard = row.optionalInteger();
      if (shard !== undefined) {
        owners.set(shard, id);
        continue;
      }
      const draining = row.integer() === 1;
      const isLate = row.integer() === 1;
      const renewed = row.integer() === 1;
      const told = row.optionalInteger();
      // Of its own row the statement sees the state before.
      if (id === worker) {
        Object.assign(me, { draining, renewed });
        workers.push(memberOf(id, draining, false, load));
      } else {
        if (isLate) late.push(id);
        workers.push(memberOf(id, draining, isLate, told));
      }
    }
    return { ...me, nowMs, workers, late, owners };
  }

  /** Those of the late workers that are known to be gone, as far as that can be known soon. */
  #findGone(late: readonly string[]): Promise<ReadonlySet<string>> {
    const locks = this.#locks;
    if (locks === undefined || late.length === 0 || !this.#means(locks)) return Promise.resolve(NOBODY);
    this.#look ??= this.#bury(locks, late)
      .catch(() => NOBODY) // nothing is proved
      .finally(() => {
        this.#look = undefined;
      });
    // Who is found later is no longer there at the next renewal.
    return inTime(this.#look, LOOK_MS, "late").catch(() => NOBODY);
  }

  /**
   * Whether it means anything that a worker is late and its lock free. When everybody lost their sessions (the
   * server restarted, another took its place, somebody ended them all), those who live are late until they are back.
   */
  #means({ standing }: LockSession): boolean {
    return standing.forMs >= this.#lateMs + (standing.anew ? COMING_BACK_MS : 0);
  }

  /** Deletes the rows of those whose lock is free, unless they have been renewed since. */
  async #bury(locks: LockSession, late: readonly string[]): Promise<ReadonlySet<string>> {
    const gone = new Set<string>();
    try {
      for (const id of late) {
        if (!(await locks.isFree(id))) continue;
        const rows = await this.#query(BURY, [this.#hub, id, this.#lateMs]);
        if (rows.length > 0) gone.add(id);
      }
      return gone;
    } finally {
      if (gone.size > 0) this.#changed();
    }
  }
}

/** A worker of this process. */
interface Joined {
  readonly info: WorkerInfo;
  /** To join again with: whoever was about to go still is. */
  draining: boolean;
  renewal: Promise<unknown> | undefined;
}

interface Seen {
  readonly nowMs: number;
  readonly draining: boolean;
  /** Whether the worker's lease was alive, and is renewed. */
  readonly renewed: boolean;
  readonly workers: readonly Member[];
  /** Of the workers those that have not renewed in time, though their lease has not ended. */
  readonly late: readonly string[];
  readonly owners: ReadonlyMap<number, string>;
}

function memberOf(id: string, draining: boolean, late: boolean, load: number | undefined): Member {
  return { id, draining, ...(late ? { late } : {}), ...(load === undefined ? {} : { load }) };
}

/** A lease that has ended is not renewed: who joins again does so without shards. */
const RENEW = `
  with renewed as (
    update @worker set renewed_at = clock_timestamp(), lease_until = ${leaseUntil(3)}, load = $5::integer
    where hub = $1 and id = $2 and lease_until > clock_timestamp()
    returning id
  )
  select null::bigint as now, w.id, null as shard,
    case when w.draining then 1 else 0 end as draining,
    case when w.renewed_at < clock_timestamp() - $4::integer * interval '1 millisecond' then 1 else 0 end as late,
    (select count(*) from renewed r where r.id = w.id) as renewed, w.load
  from @worker w where w.hub = $1 and w.lease_until > clock_timestamp()
  union all
  select null, s.owner, s.shard, null, null, null, null from @shard s where s.hub = $1 and s.owner is not null
  union all
  select (extract(epoch from clock_timestamp()) * 1000)::bigint, null, null, null, null, null, null`;

/** In the order of the shards, so that two who claim wait for each other in one direction only. */
const CLAIM = `
  insert into @shard as s (hub, shard, owner)
  select distinct $1::integer, wanted.shard, $2::text from unnest($3::smallint[]) as wanted (shard)
  where exists (
    select 1 from @worker me where me.hub = $1 and me.id = $2 and me.lease_until > clock_timestamp()
  )
  order by wanted.shard
  on conflict (hub, shard) do update set owner = excluded.owner
  where s.owner is null or s.owner = excluded.owner or not exists (
    select 1 from @worker w where w.hub = s.hub and w.id = s.owner and w.lease_until > clock_timestamp()
  )
  returning s.shard`;

/**
 * Who has not renewed since the server started may only not have reached it yet, and has lost its lock in any case:
 * its lease decides.
 */
const BURY = `
  delete from @worker
  where hub = $1 and id = $2 and renewed_at < clock_timestamp() - $3::integer * interval '1 millisecond'
    and renewed_at > pg_postmaster_start_time()
  returning id`;
