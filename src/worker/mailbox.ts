import type { Env, Logger } from "../core/env.js";
import { StoreClosedError } from "../core/errors.js";
import type { Mail, RequestMessage } from "../core/message.js";
import type { Store } from "../core/store.js";
import { Pulse } from "./pulse.js";

/** Hints wake the loop; this is how late a message can be when every hint was lost. */
const FALLBACK_POLL_MS = 5000;

/** Messages per poll. */
const POLL_LIMIT = 1000;

/** Reads new messages, each once, in the order in which they were committed. */
export class Mailbox {
  readonly #env: Env;
  readonly #store: Store;
  readonly #logger: Logger;
  readonly #pulse: Pulse;
  #after = 0;
  #stopped = false;

  constructor(env: Env, store: Store, logger: Logger) {
    this.#env = env;
    this.#store = store;
    this.#logger = logger;
    this.#pulse = new Pulse(env);
  }

  wake(): void {
    this.#pulse.wake();
  }

  stop(): void {
    this.#stopped = true;
    this.#pulse.wake();
  }

  async run(
    onMail: (mail: Mail) => void,
    onRequests: (requests: readonly RequestMessage[]) => void,
  ): Promise<void> {
    while (!this.#stopped) {
      const full = await this.#readPage(onMail, onRequests);
      if (!full) await this.#pulse.rest(FALLBACK_POLL_MS);
    }
  }

  /** @returns whether there may be more to read at once. */
  async #readPage(
    onMail: (mail: Mail) => void,
    onRequests: (requests: readonly RequestMessage[]) => void,
  ): Promise<boolean> {
    try {
      const messages = await this.#store.poll({ shards: "all", after: this.#after, limit: POLL_LIMIT });
      const requests = messages.filter((message) => message.kind === "request");
      if (requests.length > 0) onRequests(requests);
      for (const message of messages) {
        this.#after = message.n;
        if (message.kind === "mail") onMail(message);
      }
      return messages.length === POLL_LIMIT;
    } catch (error) {
      if (error instanceof StoreClosedError) this.#stopped = true;
      else this.#logger.warn("messages could not be read; trying again", { error });
      await this.#env.yieldNow();
      return false;
    }
  }
}
