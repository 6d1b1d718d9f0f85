import { HUB, type Lie } from "./disk.js";

/** Disks that answer an fsync without doing it: with each of them something must be lost, or the check is blind. */
export const LIES: readonly { readonly name: string; readonly isLie: Lie }[] = [
  { name: "no fsync does anything", isLie: () => true },
  { name: "no fsync of the log (-wal)", isLie: (path) => path === `${HUB}-wal` },
  { name: "no fsync of the database", isLie: (path) => path === HUB },
  { name: "no fsync of folders", isLie: (path) => HUB.startsWith(`${path}/`) || path === "" },
];
