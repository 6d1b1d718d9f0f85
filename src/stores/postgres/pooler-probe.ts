import { StoreUnusableError } from "../../core/errors.js";
import { Row } from "../rows.js";
import type { Query } from "./query.js";

/** How often each is asked. Who has just been served is what a proxy serves the next one with, so that few will do. */
const ROUNDS = 3;

/**
 * Whether two connections, asked in turns, are each a session of its own. Through a proxy that pools transactions
 * they share the server's processes, or change them.
 */
export async function areSessions(one: Query, other: Query): Promise<boolean> {
  const ones = new Set<number>();
  const others = new Set<number>();
  for (let round = 0; round < ROUNDS; round++) {
    ones.add(await processOf(one));
    others.add(await processOf(other));
  }
  // Databases without processes of their own give no number, or always the same.
  if ([...ones, ...others].every((pid) => pid <= 0)) return true;
  return ones.size === 1 && others.size === 1 && ![...ones].some((pid) => others.has(pid));
}

async function processOf(query: Query): Promise<number> {
  const [columns] = await query("select pg_backend_pid()");
  return new Row(columns).integer();
}

/** For where sessions were taken for granted and there are none. */
export function noSessions(store: string): StoreUnusableError {
  return new StoreUnusableError(
    `${store}: a proxy that pools transactions stands between, which lends a session to others. Add ` +
      "?pooled=true to the URL, or connect to the server itself.",
  );
}
