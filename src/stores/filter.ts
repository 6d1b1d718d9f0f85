import type { ListFilter } from "../core/store.js";

/** No name and no ID holds U+0000: PostgreSQL cannot even be asked for it, and SQLite reads no further. */
export function canMatchNothing({ name, instanceIdPrefix }: ListFilter): boolean {
  return name?.includes("\0") === true || instanceIdPrefix?.includes("\0") === true;
}
