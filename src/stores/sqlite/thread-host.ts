import { Worker } from "node:worker_threads";
import { EngineFaultError, StoreFailedError, StoreUnusableError } from "../../core/errors.js";
import type { TurnBoard } from "../../core/store.js";
import type { BatchResult, Operation } from "./batch.js";
import type { DatabaseOptions, SqliteDatabase } from "./database.js";
import { errorOf } from "./fault.js";
import type { Caller, CallName, DatabaseHost } from "./host.js";
import { AWAKE_MS, isLone, Vigil } from "./vigil.js";
import { type Ask, encodeOperations, type Reply } from "./wire.js";

/** Runs the database in a thread of its own, so that no flush and no checkpoint blocks the user's event loop. */
export function openThread(options: DatabaseOptions, foundElsewhere: () => void): Promise<DatabaseHost> {
  return new Promise((resolve, reject) => {
    // execArgv: what the program's own modules need (loaders, say) the thread does not.
    const worker = new Worker(threadFile(), {
      workerData: options,
      name: "tenure-sqlite",
      execArgv: [],
      // What it handles lives for one batch; with more room it only keeps more memory.
      resourceLimits: { maxYoungGenerationSizeMb: 6 },
    });
    worker.once("error", reject);
    worker.once("exit", () =>
      reject(new StoreUnusableError("The store's thread ended before it had opened the file.")),
    );
    worker.once("message", ([reply]: [Reply]) => {
      worker.off("error", reject);
      if (reply.kind === "opened") resolve(new ThreadHost(worker, reply.secret, foundElsewhere));
      else if (reply.kind === "notOpened") reject(errorOf(reply.fault));
      else reject(new EngineFaultError(`the store's thread began with ${reply.kind}`));
    });
  });
}

/** Node 20 starts no thread from TypeScript: where a test runner loads the source, the thread is the built one. */
function threadFile(): URL {
  const built = import.meta.url.endsWith(".ts") ? "../../../dist/stores/sqlite/thread.js" : "./thread.js";
  return new URL(built, import.meta.url);
}

class ThreadHost implements DatabaseHost {
  readonly secret: string;
  readonly #worker: Worker;
  readonly #foundElsewhere: () => void;
  readonly #callers = new Map<number, Caller>();
  #outbox: Ask[] = [];
  #lastId = 0;
  readonly #vigil = new Vigil();
  #gone: Error | undefined;

  constructor(worker: Worker, secret: string, foundElsewhere: () => void) {
    this.#worker = worker;
    this.secret = secret;
    this.#foundElsewhere = foundElsewhere;
    worker.on("message", (replies: readonly Reply[]) => {
      for (const reply of replies) this.#receive(reply);
    });
    worker.on("error", (cause) => this.#lose(cause));
    worker.on("exit", () => this.#lose(undefined));
    // An idle store keeps no process alive; one that is asked something does, until it has answered.
    worker.unref();
  }

  write(operations: readonly Operation[]): Promise<BatchResult> {
    if (isLone(operations)) this.#vigil.keep(AWAKE_MS);
    return this.#ask((id) => ({ kind: "write", id, operations: encodeOperations(operations) }));
  }

  call<M extends CallName>(
    method: M,
    ...args: Parameters<SqliteDatabase[M]>
  ): Promise<ReturnType<SqliteDatabase[M]>> {
    return this.#ask((id) => ({ kind: "call", id, method, args }));
  }

  lookElsewhere(looks: boolean): void {
    this.#send({ kind: "lookElsewhere", looks });
  }

  watchTurns(board: TurnBoard): boolean {
    this.#send({ kind: "watchTurns", board });
    return true;
  }

  async close(): Promise<void> {
    const exit = new Promise<void>((resolve) => {
      this.#worker.once("exit", () => resolve());
    });
    await this.#ask((id) => ({ kind: "close", id }));
    this.#worker.ref();
    await exit;
  }

  #ask<T>(askOf: (id: number) => Ask): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#gone !== undefined) {
        reject(this.#gone);
        return;
      }
      const id = ++this.#lastId;
      this.#send(askOf(id));
      if (this.#callers.size === 0) this.#worker.ref();
      this.#callers.set(id, { resolve, reject });
    });
  }

  /** What one tick asks for goes in one message: a message costs more than most of what it asks for. */
  #send(ask: Ask): void {
    this.#outbox.push(ask);
    if (this.#outbox.length > 1) return;
    process.nextTick(() => {
      const asks = this.#outbox;
      this.#outbox = [];
      this.#post(asks);
    });
  }

  /** What cannot be cloned (a function in a tag, say) fails alone, not those that it travels with. */
  #post(asks: readonly Ask[]): void {
    try {
      this.#worker.postMessage(asks, []);
    } catch (cause) {
      const [first, ...rest] = asks;
      if (rest.length > 0) {
        for (const ask of asks) this.#post([ask]);
      } else if (first !== undefined && "id" in first) {
        const why = "What was asked of the store cannot be sent to its thread.";
        this.#takeCaller(first.id).reject(new EngineFaultError(why, { cause }));
      }
    }
  }

  #receive(reply: Reply): void {
    switch (reply.kind) {
      case "wrote":
        this.#vigil.end();
        this.#takeCaller(reply.id).resolve({ results: reply.results, notice: reply.notice });
        break;
      case "returned":
        this.#takeCaller(reply.id).resolve(reply.result);
        break;
      case "failed":
        this.#takeCaller(reply.id).reject(errorOf(reply.fault));
        break;
      case "foundElsewhere":
        this.#foundElsewhere();
        break;
      case "opened":
      case "notOpened":
        throw new EngineFaultError(`the store's thread sent ${reply.kind} twice`);
    }
  }

  #takeCaller(id: number): Caller {
    const caller = this.#callers.get(id);
    if (caller === undefined) throw new EngineFaultError("the store's thread answered what nobody asked");
    this.#callers.delete(id);
    if (this.#callers.size === 0) this.#worker.unref();
    return caller;
  }

  /** The thread is gone, expectedly or not: whoever waits will get no answer. */
  #lose(cause: unknown): void {
    this.#gone ??= new StoreFailedError(
      "The store's thread has ended unexpectedly. What was being written may or may not be: open the task hub again.",
      { cause },
    );
    for (const caller of this.#callers.values()) caller.reject(this.#gone);
    this.#callers.clear();
  }
}
