import { writeSync } from "node:fs";
import type { TurnBoard } from "../core/store.js";

/** A turn that takes longer than this blocks its process, in milliseconds. Turns take microseconds. */
const BLOCKED_AFTER_MS = 1_000;

/** How often the board is read, in milliseconds: each read wakes an idle process. A blocked turn is noticed within 2 s. */
const READ_MS = 500;

const STDERR = 2;

/** A turn, and the worker whose process it blocked. */
export interface BlockedTurn {
  readonly iid: number;
  readonly generation: number;
  readonly worker: string;
}

type Awaitable<T> = T | Promise<T>;

/** Where strikes are kept. */
export interface StrikeBook {
  /** @returns which instance this is, for messages. */
  strike(turn: BlockedTurn): Awaitable<{ readonly instanceId: string; readonly name: string } | undefined>;
  withdraw(turn: BlockedTurn): Awaitable<void>;
}

/**
 * Watches the worker's turns from another thread, which goes on while the main thread is blocked: an orchestrator
 * that never yields is recorded with a strike, so that it cannot take down one process after the other unnoticed.
 * A turn that ends after all loses its strike.
 */
export class TurnWatch {
  readonly #book: StrikeBook;
  #timer: NodeJS.Timeout | undefined;
  #reading = false;
  /** The turn that was running when the board was last read, and since when. */
  #running: { readonly turn: bigint; readonly sinceMs: number } | undefined;
  #struck: BlockedTurn | undefined;

  constructor(book: StrikeBook) {
    this.#book = book;
  }

  start(board: TurnBoard): void {
    clearInterval(this.#timer);
    this.#timer = setInterval(() => void this.#look(board), READ_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #look(board: TurnBoard): Promise<void> {
    if (this.#reading) return;
    this.#reading = true;
    try {
      await this.#read(board);
    } catch {
      // The store cannot be written now: the next reading tries again.
    } finally {
      this.#reading = false;
    }
  }

  async #read({ cells, worker }: TurnBoard): Promise<void> {
    const turn = Atomics.load(cells, 0);
    const iid = Number(Atomics.load(cells, 1));
    const generation = Number(Atomics.load(cells, 2));
    // Written in between: it is another turn, and has only begun.
    if (Atomics.load(cells, 0) !== turn) return;
    if (turn !== this.#running?.turn) {
      await this.#withdraw();
      this.#running = turn > 0n ? { turn, sinceMs: performance.now() } : undefined;
      return;
    }
    const blockedMs = performance.now() - this.#running.sinceMs;
    if (blockedMs > BLOCKED_AFTER_MS && this.#struck === undefined)
      await this.#strike({ iid, generation, worker }, blockedMs);
  }

  async #strike(turn: BlockedTurn, blockedMs: number): Promise<void> {
    const { instanceId, name } = (await this.#book.strike(turn)) ?? {};
    this.#struck = turn;
    // Straight to the descriptor: process.stderr of a thread goes through the main thread, which is blocked.
    writeSync(
      STDERR,
      `${asciiJson({
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

  async #withdraw(): Promise<void> {
    if (this.#struck === undefined) return;
    await this.#book.withdraw(this.#struck);
    this.#struck = undefined;
  }
}

/** Names are their writer's: what a terminal would obey, or take for the end of a line, is escaped with all that is not ASCII. */
function asciiJson(value: object): string {
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
