import type { Command, CommandAnswer, StartCommand } from "../core/command.js";
import type { Env, Logger } from "../core/env.js";
import { StoreClosedError } from "../core/errors.js";
import type { RequestMessage } from "../core/message.js";
import { commandOf, decodeRequest, type Request } from "../core/request.js";
import { rewindCommand } from "../core/rewind-command.js";
import { startPolicy } from "../core/start-policy.js";
import type { Refusal, Store } from "../core/store.js";
import { isPassing } from "./persist.js";

/** After a failed attempt. */
const RETRY_MS = 200;

/**
 * Carries out what instances ask of other IDs: each request becomes a command in the receiver's own
 * transaction, which also deletes the request, so that it happens once. Answers go by message.
 */
export class RequestHandler {
  readonly #env: Env;
  readonly #store: Store;
  readonly #logger: Logger;
  readonly #onRefused: (refusal: Refusal) => void;
  #stopped = false;

  constructor(env: Env, store: Store, logger: Logger, onRefused: (refusal: Refusal) => void) {
    this.#env = env;
    this.#store = store;
    this.#logger = logger;
    this.#onRefused = onRefused;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Requests that cannot be carried out now are tried again until they can; they stay in the store. */
  async handle(requests: readonly RequestMessage[]): Promise<void> {
    for (let left = requests; left.length > 0 && !this.#stopped; ) {
      try {
        await this.#carryOut(left);
        return;
      } catch (error) {
        if (error instanceof StoreClosedError) return;
        this.#logger.warn("requests between instances could not be carried out; trying again", { error });
        if (!isPassing(error)) left = await this.#carryOutEach(left);
        await this.#env.sleep(RETRY_MS);
      }
    }
  }

  async #carryOut(requests: readonly RequestMessage[]): Promise<void> {
    const commands = await Promise.all(requests.map((request) => this.#commandFor(request)));
    const known = commands.filter((command) => command !== undefined);
    const answers = await this.#store.execute(known);
    for (const [index, command] of known.entries()) this.#noteRefusal(command, answers[index]);
  }

  /**
   * One of them has a fault of its own: the others must not wait for it. It stays in the store, for the
   * next process. @returns those that the store could not serve now.
   */
  async #carryOutEach(requests: readonly RequestMessage[]): Promise<readonly RequestMessage[]> {
    const left: RequestMessage[] = [];
    for (const request of requests) {
      try {
        await this.#carryOut([request]);
      } catch (error) {
        if (isPassing(error)) left.push(request);
        else
          this.#logger.error("a request between instances cannot be carried out", {
            n: request.n,
            instanceId: request.instanceId,
            error,
          });
      }
    }
    return left;
  }

  async #commandFor(message: RequestMessage): Promise<Command | undefined> {
    const request = this.#decode(message);
    if (request === undefined) return undefined;
    const at = {
      instanceId: message.instanceId,
      atMs: this.#env.now(),
      consumes: message.n,
      executionId: this.#env.id(),
    };
    if (request.kind !== "rewind") return commandOf(request, at);
    return this.#rewindChild(request, at);
  }

  /** An unknown record is left unclaimed, for a program that knows it. */
  #decode(message: RequestMessage): Request | undefined {
    try {
      return decodeRequest(message.body);
    } catch (error) {
      this.#logger.error("a request between instances cannot be read and is left for another program", {
        n: message.n,
        instanceId: message.instanceId,
        error,
      });
      return undefined;
    }
  }

  /** A rewound parent waits again: for its failed child rewound, its live child, or a new one where it is gone. */
  async #rewindChild(
    request: Request & { readonly kind: "rewind" },
    at: {
      readonly instanceId: string;
      readonly atMs: number;
      readonly consumes: number;
      readonly executionId: string;
    },
  ): Promise<Command> {
    const stored = await this.#store.history(at.instanceId);
    const { parent } = request.restart;
    const policy = startPolicy("attach", { Completed: "return" });
    const orElse = commandOf({ ...request.restart, policy }, at);
    if (stored?.instance.status !== "Failed" || stored.instance.name !== request.restart.name) return orElse;
    return {
      ...rewindCommand(stored, {
        atMs: at.atMs,
        executionId: at.executionId,
        consumes: at.consumes,
        ...(request.reason === undefined ? {} : { reason: request.reason }),
        ...(parent === undefined ? {} : { parent }),
      }),
      ...(orElse.kind === "start" ? { orElse } : {}),
    };
  }

  #noteRefusal(command: Command, answer: CommandAnswer | undefined): void {
    if (command.kind !== "start" || answer?.outcome !== "refused") return;
    this.#onRefused({
      instanceId: command.instanceId,
      atMs: command.atMs,
      requester: requesterOf(command),
      orchestrator: command.name,
      policy: command.policy,
      reason: answer.reason,
      holder: answer.holder,
      count: 1,
    });
  }
}

function requesterOf({ parent }: StartCommand): string {
  return parent === undefined ? "an orchestration" : `parent:${parent.instanceId}`;
}
