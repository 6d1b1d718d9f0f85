import { existsSync } from "node:fs";
import { ConfigurationError, InvalidArgumentError } from "../core/errors.js";
import { withoutPassword } from "../stores/address.js";
import type { Remote } from "./remote.js";
import { type NamedStore, parseStore } from "./store-option.js";

/** Which task hub a client command is about. */
export interface RemoteOptions {
  readonly url?: string;
  readonly db?: string;
  readonly store?: string;
  readonly taskHub?: string;
  readonly keyFile?: string;
}

/** Where `tenure dev` and `tenure serve` listen unless they are told otherwise: as `func start`. */
export const DEFAULT_URL = "http://127.0.0.1:7071";

/**
 * Reaches the task hub: in its store with `--db` or `--store`, else over HTTP at `--url`, TENURE_URL, or where
 * `tenure dev` listens. TENURE_STORE is of no account here: a machine that serves a hub has it set.
 */
export async function connectRemote(options: RemoteOptions): Promise<Remote> {
  const { db, store = db === undefined ? undefined : `sqlite:${db}` } = options;
  if (store === undefined) return connectServer(options);
  if (options.url !== undefined || (db !== undefined && options.store !== undefined))
    throw new ConfigurationError("Give one of --url, --db and --store.");
  return connectStore(store, options);
}

async function connectServer(options: RemoteOptions): Promise<Remote> {
  if (options.taskHub !== undefined) {
    throw new ConfigurationError("--task-hub goes with --db or --store: a server serves one task hub.");
  }
  const url = options.url ?? process.env["TENURE_URL"] ?? DEFAULT_URL;
  if (!/^https?:\/\//.test(url) || !URL.canParse(url)) {
    throw new InvalidArgumentError(
      "--url",
      `${withoutPassword(url)} is not an address such as ${DEFAULT_URL}`,
    );
  }
  const { username, password, search, hash } = new URL(url);
  if (username + password + search + hash !== "") {
    // Not shown: it may be a key, and messages show where they went.
    throw new InvalidArgumentError(
      "--url",
      `must be an address alone, such as ${DEFAULT_URL}. Give a key with --key-file or TENURE_KEY`,
    );
  }
  const [{ httpRemote }, { readKey }] = await Promise.all([
    import("./remotes/http-remote.js"),
    import("./read-key.js"),
  ]);
  return httpRemote(url, readKey(options.keyFile));
}

async function connectStore(store: string, options: RemoteOptions): Promise<Remote> {
  const named = parseStore(store);
  await checkIsThere(store, named);
  const [{ TaskHub }, { storeRemote }] = await Promise.all([
    import("../task-hub.js"),
    import("./remotes/store-remote.js"),
  ]);
  const connection = await TaskHub.connect({
    store,
    ...(options.taskHub === undefined ? {} : { taskHub: options.taskHub }),
  });
  return storeRemote(connection, named.description);
}

/** Opening would make a new, empty hub of a mistyped name. */
async function checkIsThere(store: string, named: NamedStore): Promise<void> {
  if (named.kind === "memory")
    throw new ConfigurationError("A store in memory is its own process's: ask that one, with --url.");
  if (named.kind !== "postgres") {
    const file = store.slice("sqlite:".length);
    if (!existsSync(file)) throw new ConfigurationError(`There is no file ${file}.`);
    return;
  }
  const [{ statusOf }, { withSession }] = await Promise.all([
    import("../stores/postgres/migrate.js"),
    import("../stores/postgres/session.js"),
  ]);
  const { location, description } = named;
  const place = { schema: location.schema, store: description };
  const { version } = await withSession(location, (query) => statusOf(query, place));
  if (version === 0) throw new ConfigurationError(`There is no task hub at ${description}.`);
}
