import type { Env } from "../core/env.js";
import { InvalidTokenError } from "../core/errors.js";
import type { ListCursor, ListFilter } from "../core/store.js";

/**
 * Continuation tokens that only the hub that made them accepts, and only for the same filter: the
 * place in the list, signed with the hub's secret. The hash is keyed from both ends, which leaves no
 * room to extend it.
 */
export class PageTokens {
  readonly #env: Env;
  readonly #secret: string;
  readonly #taskHub: string;

  constructor(env: Env, store: { readonly secret: string; readonly taskHub: string }) {
    this.#env = env;
    this.#secret = store.secret;
    this.#taskHub = store.taskHub;
  }

  make(cursor: ListCursor, filter: ListFilter): string {
    const place = `${cursor.createdAtMs.toString(36)}.${cursor.iid.toString(36)}`;
    return `${place}.${this.#sign(place, filter)}`;
  }

  /** @throws InvalidTokenError when a character of it was changed, or it belongs to another query or hub. */
  read(token: unknown, filter: ListFilter): ListCursor {
    if (typeof token !== "string") throw new InvalidTokenError();
    const [created, iid, signature, ...rest] = token.split(".");
    if (created === undefined || iid === undefined || signature === undefined || rest.length > 0) {
      throw new InvalidTokenError();
    }
    if (!this.#isSame(signature, this.#sign(`${created}.${iid}`, filter))) throw new InvalidTokenError();
    return { createdAtMs: Number.parseInt(created, 36), iid: Number.parseInt(iid, 36) };
  }

  /** How long it takes tells nothing: what is compared cannot be chosen by who sends a signature. */
  #isSame(given: string, expected: string): boolean {
    return this.#env.hash("sha256", given) === this.#env.hash("sha256", expected);
  }

  #sign(place: string, filter: ListFilter): string {
    const signed = JSON.stringify([this.#secret, this.#taskHub, place, canonical(filter), this.#secret]);
    return this.#env.hash("sha256", signed).slice(0, 40);
  }
}

/** The same filter gives the same text, however its members were ordered. */
function canonical(filter: ListFilter): string {
  const entries = Object.entries(filter)
    .filter(([, value]) => value !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify(entries, (_key, value: unknown) => value);
}
