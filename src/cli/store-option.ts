import { ConfigurationError } from "../core/errors.js";
import { isPostgresUrl, withoutPassword } from "../stores/address.js";
import { type Location, parseLocation } from "../stores/postgres/location.js";

/** A store as it is named on a command line or in TENURE_STORE. */
export type NamedStore =
  | { readonly kind: "memory"; readonly description: string }
  | { readonly kind: "sqlite"; readonly description: string; readonly file: string }
  | { readonly kind: "postgres"; readonly description: string; readonly location: Location };

/**
 * Reads a store's name, before anything is opened. The description shows no password.
 *
 * @throws ConfigurationError or InvalidArgumentError saying what to change, without a password either.
 */
export function parseStore(store: string): NamedStore {
  if (store === "memory") return { kind: "memory", description: store };
  if (/^sqlite:./.test(store))
    return { kind: "sqlite", description: store, file: store.slice("sqlite:".length) };
  if (isPostgresUrl(store)) {
    const location = parseLocation(store);
    return { kind: "postgres", description: location.description, location };
  }
  throw new ConfigurationError(
    `The store "${withoutPassword(store)}" is not one. Use sqlite:FILE, postgres://… or memory.`,
  );
}

/** TENURE_STORE, where it says something. */
export function storeFromEnvironment(): string | undefined {
  const store = process.env["TENURE_STORE"];
  return store === "" ? undefined : store;
}
