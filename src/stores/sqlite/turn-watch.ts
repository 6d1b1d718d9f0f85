import { writeSync } from "node:fs";
import type { TurnBoard } from "../../core/store.js";
import type { SqliteDatabase } from "./database.js";
import type { BlockedTurn } from "./strikes.js";

/** A turn that takes longer than this blocks its process, in milliseconds. Turns take microseconds. */
const BLOCKED_AFTER_MS = 1_000;

/** How often the board is read, in milliseconds: each read wakes an idle process. A blocked turn is noticed within 2 s. */
const READ_MS = 500;

const STDERR = 2;

/**
 * Watches the worker's turns from the store's thread, which goes on while the main thread is blocked:
 * an orchestrator that never yields is recorded with a strike, so that it cannot take down one process
 * after the other unnoticed. A turn that ends after all loses its strike.
 */
export class TurnWatch {
  readonly #database: SqliteDatabase;
  #timer: NodeJS.Timeout | undefined;
  /** The turn that was running when the board was last read, and since when. */
  #running: { readonly turn: bigint; readonly sinceMs: number } | undefined;
  #struck: BlockedTurn | undefined;

  constructor(database: SqliteDatabase) {
    this.#database = database;
  }

  start(board: TurnBoard): void {
    clearInterval(this.#timer);
    this.#timer = setInterval(() => {
      try {
        this.#read(board);
      } catch {
        // The file is locked or the disk is full: the next reading tries again.
      }
    }, READ_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #read({ cells, worker }: TurnBoard): void {
    const turn = Atomics.load(cells, 0);
    const iid = Number(Atomics.load(cells, 1));
    const generation = Number(Atomics.load(cells, 2));
    // Written in between: it is another turn, and has only begun.
    if (Atomics.load(cells, 0) !== turn) return;
    if (turn !== this.#running?.turn) {
      this.#withdraw();
      this.#running = turn > 0n ? { turn, sinceMs: performance.now() } : undefined;
      return;
    }
    const blockedMs = performance.now() - this.#running.sinceMs;
    if (blockedMs > BLOCKED_AFTER_MS && this.#struck === undefined)
      this.#strike({ iid, generation, worker }, blockedMs);
  }

  #strike(turn: BlockedTurn, blockedMs: number): void {
    this.#database.recordStrike(turn);
    this.#struck = turn;
    const { instanceId, name } = this.#database.describe(turn.iid) ?? {};
    // Straight to the descriptor: process.stderr of a thread goes through the main thread, which is blocked.
    writeSync(
      STDERR,
      `${JSON.stringify({
        level: "error",
        message:
          `A turn of orchestrator '${name ?? "?"}' (instance '${instanceId ?? "?"}') has blocked this process for ` +
          `${Math.round(blockedMs)} ms. Orchestrators must not loop or wait without awaiting; move the work into an activity.`,
        instanceId,
        orchestrator: name,
        generation: turn.generation,
        worker: turn.worker,
      })}\n`,
    );
  }

  #withdraw(): void {
    if (this.#struck === undefined) return;
    this.#database.withdrawStrike(this.#struck);
    this.#struck = undefined;
  }
}
