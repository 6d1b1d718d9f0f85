import { HUB, type Lie } from "./disk.js";

/** Disks that answer an fsync without doing it: with each of them something must be lost, or the check is blind. */
export const LIES: readonly { readonly name: string; readonly isLie: Lie }[] = [
  { name: "skips every fsync", isLie: () => true },
  { name: "skips the log's (-wal)", isLie: (path) => path === `${HUB}-wal` },
  { name: "skips the log's, one in three", isLie: (path, nth) => path === `${HUB}-wal` && nth % 3 === 0 },
  { name: "skips the database's", isLie: (path) => path === HUB },
  { name: "skips those of folders", isLie: (path) => HUB.startsWith(`${path}/`) || path === "" },
];
