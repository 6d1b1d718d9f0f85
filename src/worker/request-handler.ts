import type { Command, CommandAnswer, StartCommand } from "../core/command.js";
import type { Env, Logger } from "../core/env.js";
import { StoreClosedError } from "../core/errors.js";
import type { RequestMessage } from "../core/message.js";
import { commandOf, decodeRequest, type Request } from "../core/request.js";
import { rewindCommand } from "../core/rewind-command.js";
import { startPolicy } from "../core/start-policy.js";
import type { Refusal, Store } from "../core/store.js";

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
        const commands = await Promise.all(left.map((request) => this.#commandFor(request)));
        const known = commands.filter((command) => command !== undefined);
        const answers = await this.#store.execute(known);
        for (const [index, command] of known.entries()) this.#noteRefusal(command, answers[index]);
        left = [];
      } catch (error) {
        if (error instanceof StoreClosedError) return;
        this.#logger.warn("requests between instances could not be carried out; trying again", { error });
        await this.#env.sleep(RETRY_MS);
      }
    }
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
    if (stored?.instance.status === "Failed" && stored.instance.name === request.restart.name) {
      return rewindCommand(stored, {
        atMs: at.atMs,
        executionId: at.executionId,
        consumes: at.consumes,
        ...(request.reason === undefined ? {} : { reason: request.reason }),
        ...(parent === undefined ? {} : { parent }),
      });
    }
    return commandOf({ ...request.restart, policy: startPolicy("attach", { Completed: "return" }) }, at);
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
