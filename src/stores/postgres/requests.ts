import type { Command, StartAccepted } from "../../core/command.js";
import { EngineFaultError } from "../../core/errors.js";
import { Row } from "../rows.js";
import { keyed, unindexed } from "./keyed.js";
import type { Query } from "./query.js";
import type { Transaction } from "./transaction.js";

/** For how long a retried start is told what the first one was told: 24 h. */
const REQUEST_ID_LIFE_MS = 24 * 60 * 60 * 1000;

/** Expired request IDs that each new one takes along: more than one, so that they never pile up. */
const SWEEP_LIMIT = 8;

/** The stored answers to those starts among these commands that carry a request ID which was used before. */
export async function rememberedStarts(
  query: Query,
  hub: number,
  commands: Iterable<Command>,
): Promise<ReadonlyMap<Command, StartAccepted>> {
  const answers = new Map<Command, StartAccepted>();
  const asked: { readonly command: Command; readonly requestId: string }[] = [];
  for (const command of commands) {
    if (command.kind === "start" && command.requestId !== undefined)
      asked.push({ command, requestId: command.requestId });
  }
  if (asked.length === 0) return answers;
  const rows = await query(
    `select a.place, r.answer
     from unnest($2::text[], $3::text[], $4::bigint[]) with ordinality as a (id, request_id, expired, place)
     join @request r on ${keyed("r.id", "a.id")} and r.request_id = a.request_id and ${unindexed("r.hub")} = $1
     where r.created > a.expired`,
    [
      hub,
      asked.map(({ command }) => command.instanceId),
      asked.map(({ requestId }) => requestId),
      asked.map(({ command }) => command.atMs - REQUEST_ID_LIFE_MS),
    ],
  );
  for (const columns of rows) {
    const row = new Row(columns);
    const { command } = asked[row.integer() - 1] ?? {};
    const answer = row.json();
    if (command === undefined || !isRemembered(answer))
      throw new EngineFaultError("a remembered start cannot be read");
    answers.set(command, answer);
  }
  return answers;
}

/** An accepted start that is to be remembered under its request ID. */
export interface Claim {
  readonly instanceId: string;
  readonly requestId: string;
  readonly atMs: number;
  readonly answer: StartAccepted;
}

/**
 * Keeps the answers of starts of different instance IDs, before their effects are written: who else carries
 * the same request ID, be it in another process for an ID that neither has seen yet, waits here for the outcome.
 * Returns those claims that came too late: that request ID has an answer by now.
 */
export async function claimRequests(
  transaction: Transaction,
  claims: readonly Claim[],
): Promise<ReadonlySet<Claim>> {
  if (claims.length === 0) return new Set();
  const { query, hub } = transaction;
  await sweep(transaction, claims);
  const rows = await query(
    `insert into @request as r (hub, id, request_id, created, answer)
     select $1, c.id, c.request_id, c.created, c.answer
     from unnest($2::text[], $3::text[], $4::bigint[], $5::text[]) as c (id, request_id, created, answer)
     order by c.id, c.request_id
     on conflict (hub, id, request_id) do update set created = excluded.created, answer = excluded.answer
     where r.created <= excluded.created - ${REQUEST_ID_LIFE_MS}
     returning r.id`,
    [
      hub,
      claims.map(({ instanceId }) => instanceId),
      claims.map(({ requestId }) => requestId),
      claims.map(({ atMs }) => atMs),
      claims.map(({ answer }) => JSON.stringify(answer)),
    ],
  );
  const kept = new Set(rows.map((row) => new Row(row).text()));
  return new Set(claims.filter(({ instanceId }) => !kept.has(instanceId)));
}

/** Takes claims back: what they were to remember did not happen. */
export async function withdrawClaims({ query, hub }: Transaction, claims: readonly Claim[]): Promise<void> {
  if (claims.length === 0) return;
  await query(
    `delete from @request r using unnest($2::text[], $3::text[]) as c (id, request_id)
     where ${keyed("r.id", "c.id")} and r.request_id = c.request_id and ${unindexed("r.hub")} = $1`,
    [hub, claims.map(({ instanceId }) => instanceId), claims.map(({ requestId }) => requestId)],
  );
}

// Two sweeps may find the same rows: the later one waits, and then finds them gone. A claim may renew an expired
// row meanwhile: only rows that are expired still, when the sweep gets at them, are deleted.
async function sweep({ query, hub }: Transaction, claims: readonly Claim[]): Promise<void> {
  const atMs = Math.min(...claims.map((claim) => claim.atMs));
  await query(
    `delete from @request where hub = $1 and created <= $2 and (id, request_id) in (
       select id, request_id from @request where hub = $1 and created <= $2 order by created limit $3
     )`,
    [hub, atMs - REQUEST_ID_LIFE_MS, SWEEP_LIMIT * claims.length],
  );
}

/** The text never leaves our own store: what we read is what we wrote. */
function isRemembered(answer: unknown): answer is StartAccepted {
  return typeof answer === "object" && answer !== null && "executionId" in answer;
}
