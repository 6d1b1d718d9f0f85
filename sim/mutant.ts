/** One change of the source: `find` is there exactly once. */
export interface Edit {
  /** Below src. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** Replaces text in one file. */
export function edit(file: string, find: string, replace: string): Edit {
  return { file, find, replace };
}

export function without(file: string, find: string): Edit {
  return edit(file, find, "");
}

/** The engine without one of its guards, or without several. */
export interface Mutant {
  readonly name: string;
  /** What it is there for. */
  readonly guard: string;
  readonly edits: readonly Edit[];
  /**
   * Mutants by whose guards this one is masked: without them alone something must pass that fails once this guard is
   * gone, too. What fails without them in any case says nothing of this guard.
   */
  readonly maskedBy?: readonly string[];
  /** A file of tests of which one must fail, for what neither the simulation nor the stores' suite sees. */
  readonly test?: string;
  /** Of the suite only these cases are tried, by a part of their name: on a server each takes its time. */
  readonly cases?: string;
  /** Why no schedule can show it. */
  readonly unseenBySimulation?: string;
  /** Why no case of the stores' suite can. */
  readonly unseenByConformance?: string;
}

/** What is tried: a mutant alone, or beside the mutants whose guards mask it. */
export interface Trial extends Mutant {
  /** What those take out. */
  readonly beside: readonly Edit[];
}

/** A mutant's trials: alone, and once more beside what masks it. */
export function trialsOf(mutant: Mutant, all: readonly Mutant[]): readonly Trial[] {
  const { name, guard, edits, maskedBy = [], cases } = mutant;
  const alone = { ...mutant, beside: [] };
  if (maskedBy.length === 0) return [alone];
  const beside = maskedBy.flatMap((each) => {
    const found = all.find((other) => other.name === each);
    if (found === undefined) throw new Error(`"${name}" is masked by "${each}", which is no mutant`);
    return found.edits;
  });
  return [
    alone,
    { name: besideName(mutant), guard, edits, beside, ...(cases === undefined ? {} : { cases }) },
  ];
}

/** What a mutant is called where it is tried beside what masks it. */
export function besideName({ name, maskedBy = [] }: Mutant): string {
  return `${name}, beside ${maskedBy.join(", ")}`;
}

/** Parts of the engine that the suite of the stores does not run. */
const BESIDE_STORES = ["worker/", "replay/", "client/", "core/turn.ts"];

/** Why the conformance suite need not be asked at all. */
export function blindness({ edits }: Mutant): string | undefined {
  const isBeside = ({ file }: Edit): boolean => BESIDE_STORES.some((part) => file.startsWith(part));
  return edits.length > 0 && edits.every(isBeside) ? "the suite runs stores without a worker" : undefined;
}

/** The stores whose own guard a mutant takes out: each must be missed by itself. */
export function storesOf({ edits }: Mutant): readonly string[] {
  return ["memory", "sqlite", "postgres"].filter((store) =>
    edits.some(({ file }) => file.startsWith(`stores/${store}/`)),
  );
}
