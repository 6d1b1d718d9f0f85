import { type InstanceRecord, payloadLengthOf } from "../core/instance.js";
import type { ListCursor, ListPage, ListQuery, Store } from "../core/store.js";

/** The payloads of a page are no longer than this in all (UTF-16 code units), but for those of its last instance. */
export const MAX_PAGE_LENGTH = 8 * 1024 * 1024;

/** What is read first, to see how large instances are; then four times as many at a time. */
const FIRST_READ = 25;

/**
 * A page of a list that is never too large for memory, or for one text: instances may have megabytes each. It is read
 * piece by piece, and ends early where payloads are large.
 */
export async function readPage(store: Pick<Store, "list">, query: ListQuery): Promise<ListPage> {
  const records: InstanceRecord[] = [];
  let length = 0;
  let { after } = query;
  for (let size = FIRST_READ; ; size *= 4) {
    const limit = Math.min(size, query.limit - records.length);
    const piece = await store.list({ ...query, limit, ...(after === undefined ? {} : { after }) });
    for (const record of piece.records) {
      records.push(record);
      length += payloadLengthOf(record.execution);
      const isLast = record === piece.records.at(-1) && piece.next === undefined;
      if (length >= MAX_PAGE_LENGTH && !isLast) return { records, next: cursorOf(record) };
    }
    // Fewer than asked for: so many were looked at, and a page examines no more.
    if (piece.next === undefined || piece.records.length < limit || records.length === query.limit)
      return { records, ...(piece.next === undefined ? {} : { next: piece.next }) };
    after = piece.next;
  }
}

function cursorOf({ instance: { createdAtMs, iid } }: InstanceRecord): ListCursor {
  return { createdAtMs, iid };
}
