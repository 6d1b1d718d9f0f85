import type { Change } from "./disk.js";
import type { Random } from "./random.js";

/** What a power loss leaves of what no fsync had covered. */
export interface Fate {
  /** Of a write: everything, nothing, or these of its sectors (counted from 0). */
  change(change: Change): "everything" | "nothing" | ((sector: number) => boolean);
  /** How many of the changes of a name have happened: the first ones. */
  names(path: string, pending: readonly { readonly step: number }[]): number;
}

/**
 * How disks were seen to lose things, one at random: nothing survives; everything up to a moment does, as on a disk that
 * keeps the order; each write fares by itself; each sector does; one file was written back and the others were not.
 */
export function drawFate(
  random: Random,
  pending: readonly { readonly step: number; readonly path: string }[],
): Fate {
  const some = (): number => pending[random.integer(pending.length)]?.step ?? 0;
  const draws: readonly [() => Fate, ...(() => Fate)[]] = [
    () => ({ change: () => "nothing", names: () => 0 }),
    () => inOrder(random, some()),
    () => byWrite(random, random.pick([0.1, 0.5, 0.9])),
    () => bySector(random, random.pick([0.1, 0.5, 0.9, 0.99])),
    () => byFile(random, pending[random.integer(pending.length)]?.path ?? ""),
  ];
  return random.pick(draws)();
}

function inOrder(random: Random, until: number): Fate {
  return {
    change: ({ step }) => (step < until ? "everything" : step > until ? "nothing" : torn(random)),
    names: (_, pending) => pending.filter(({ step }) => step < until).length,
  };
}

function byWrite(random: Random, kept: number): Fate {
  return {
    change: () => (random.chance(0.2) ? torn(random) : random.chance(kept) ? "everything" : "nothing"),
    names: (_, pending) => random.integer(pending.length + 1),
  };
}

function bySector(random: Random, kept: number): Fate {
  return {
    change: () => () => random.chance(kept),
    names: (_, pending) => random.integer(pending.length + 1),
  };
}

function byFile(random: Random, file: string): Fate {
  const isKept = random.chance(0.5);
  return {
    change: ({ path }) => ((path === file) === isKept ? "everything" : "nothing"),
    names: (path, pending) => ((path === file) === isKept ? pending.length : 0),
  };
}

/** The first few sectors, or any. */
function torn(random: Random): (sector: number) => boolean {
  const first = random.integer(9);
  return random.chance(0.5) ? (sector) => sector < first : () => random.chance(0.5);
}

/** The power does not fail at all. */
export const keepsEverything: Fate = {
  change: () => "everything",
  names: (_, pending) => pending.length,
};
