/** One change of the source: `find` is there exactly once. */
export interface Edit {
  /** Below src. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** The engine without one of its guards, or without several that stand in for one another. */
export interface Mutant {
  readonly name: string;
  /** What it is there for. */
  readonly guard: string;
  readonly edits: readonly Edit[];
  /** Alone it is not missed: this mutant takes out what stands in for it, too, and must be killed. */
  readonly maskedBy?: string;
  /** Why no schedule can show it. */
  readonly unseenBySimulation?: string;
  /** Why no case of the stores' suite can. */
  readonly unseenByConformance?: string;
}

/** Parts of the engine that the suite of the stores does not run. */
const BESIDE_STORES = ["worker/", "replay/", "core/turn.ts"];

/** Why the conformance suite need not be asked at all. */
export function blindness({ edits }: Mutant): string | undefined {
  const isBeside = ({ file }: Edit): boolean => BESIDE_STORES.some((part) => file.startsWith(part));
  return edits.length > 0 && edits.every(isBeside) ? "the suite runs stores without a worker" : undefined;
}
