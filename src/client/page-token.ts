import type { Env } from "../core/env.js";
import { InvalidTokenError } from "../core/errors.js";

/**
 * Continuation tokens that only the hub that made them accepts, and only for the same question: the
 * place in its answer, as numbers, signed with the hub's secret. The hash is keyed from both ends, which
 * leaves no room to extend it.
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

  make(numbers: readonly number[], question: object): string {
    const place = numbers.map((number) => number.toString(36)).join(".");
    return `${place}.${this.#sign(place, question)}`;
  }

  /** @throws InvalidTokenError when a character of it was changed, or it belongs to another query or hub. */
  read(token: unknown, question: object): readonly number[] {
    if (typeof token !== "string") throw new InvalidTokenError();
    const end = token.lastIndexOf(".");
    const place = token.slice(0, Math.max(end, 0));
    if (!this.#isSame(token.slice(end + 1), this.#sign(place, question))) throw new InvalidTokenError();
    return place.split(".").map((number) => Number.parseInt(number, 36));
  }

  /** How long it takes tells nothing: what is compared cannot be chosen by who sends a signature. */
  #isSame(given: string, expected: string): boolean {
    return this.#env.hash("sha256", given) === this.#env.hash("sha256", expected);
  }

  #sign(place: string, question: object): string {
    const signed = JSON.stringify([this.#secret, this.#taskHub, place, canonical(question), this.#secret]);
    return this.#env.hash("sha256", signed).slice(0, 40);
  }
}

/** The same question gives the same text, however its members were ordered. */
function canonical(question: object): string {
  const entries = Object.entries(question)
    .filter(([, value]: [string, unknown]) => value !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify(entries, (_key, value: unknown) => value);
}
