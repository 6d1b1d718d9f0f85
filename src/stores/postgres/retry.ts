import { DatabaseFault } from "./fault.js";

/** How long to go on. Pauses double up to the longest, each between half and one and a half times as long. */
export interface Patience {
  readonly tries: number;
  /** No try begins later than this: one may take long to fail, where a host is gone without a word. */
  readonly limitMs: number;
  readonly firstMs: number;
  readonly longestMs: number;
}

/** Transactions that met: the next try nearly always does, so pauses are short. */
export const CONTENTION: Patience = { tries: 20, limitMs: 15_000, firstMs: 1, longestMs: 100 };

/** A server that restarts, or another that takes its place: about 15 seconds in all. */
export const LOSS: Patience = { tries: 10, limitMs: 20_000, firstMs: 50, longestMs: 4_000 };

/** Nothing was there from the beginning: whoever opens a store wants to hear of a wrong URL soon. */
export const OPENING: Patience = { tries: 6, limitMs: 10_000, firstMs: 50, longestMs: 500 };

/** What time and chance are, so that tests can say. */
export interface Pauses {
  readonly pause: (ms: number) => Promise<void>;
  /** In [0, 1). */
  readonly random: () => number;
  /** Rises with time. */
  readonly nowMs: () => number;
}

const realPauses: Pauses = {
  pause: (ms) =>
    new Promise((resolve) => {
      setTimeout(resolve, ms);
    }),
  random: Math.random,
  nowMs: () => performance.now(),
};

/**
 * Tries again what met another transaction or lost its connection, with bounded, random pauses. What the last try
 * threw is thrown. The attempt must be one that may be carried out twice.
 */
export async function retrying<T>(
  attempt: () => Promise<T>,
  loss: Patience = LOSS,
  { pause, random, nowMs }: Pauses = realPauses,
): Promise<T> {
  const tries = { contention: 0, lost: 0 };
  const begunMs = nowMs();
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof DatabaseFault)) throw error;
      const { kind } = error;
      if (kind !== "contention" && kind !== "lost") throw error;
      const patience = kind === "lost" ? loss : CONTENTION;
      tries[kind] += 1;
      if (tries[kind] >= patience.tries || nowMs() - begunMs > patience.limitMs) throw error;
      await pause(pauseMs(patience, tries[kind], random()));
    }
  }
}

function pauseMs({ firstMs, longestMs }: Patience, tries: number, chance: number): number {
  return Math.min(firstMs * 2 ** (tries - 1), longestMs) * (0.5 + chance);
}
