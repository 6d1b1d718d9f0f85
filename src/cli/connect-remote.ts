import { existsSync } from "node:fs";
import { ConfigurationError, InvalidArgumentError } from "../core/errors.js";
import type { Remote } from "./remote.js";

/** Which task hub a client command is about. */
export interface RemoteOptions {
  readonly url?: string;
  readonly db?: string;
  readonly taskHub?: string;
  readonly keyFile?: string;
}

/** Where `tenure dev` and `tenure serve` listen unless they are told otherwise: as `func start`. */
export const DEFAULT_URL = "http://127.0.0.1:7071";

/**
 * Reaches the task hub: in its file with `--db`, else over HTTP at `--url`, TENURE_URL, or where
 * `tenure dev` listens.
 */
export async function connectRemote(options: RemoteOptions): Promise<Remote> {
  return options.db === undefined ? connectServer(options) : connectStore(options.db, options);
}

async function connectServer(options: RemoteOptions): Promise<Remote> {
  if (options.taskHub !== undefined) {
    throw new ConfigurationError("--task-hub goes with --db: a server serves one task hub.");
  }
  const url = options.url ?? process.env["TENURE_URL"] ?? DEFAULT_URL;
  if (!/^https?:\/\//.test(url) || !URL.canParse(url)) {
    throw new InvalidArgumentError("--url", `${url} is not an address such as ${DEFAULT_URL}`);
  }
  const [{ httpRemote }, { readKey }] = await Promise.all([
    import("./remotes/http-remote.js"),
    import("./read-key.js"),
  ]);
  return httpRemote(url, readKey(options.keyFile));
}

async function connectStore(file: string, options: RemoteOptions): Promise<Remote> {
  if (options.url !== undefined) throw new ConfigurationError("Give --url or --db, not both.");
  // Opening would make a new, empty hub of a mistyped name.
  if (!existsSync(file)) throw new ConfigurationError(`There is no file ${file}.`);
  const [{ TaskHub }, { storeRemote }] = await Promise.all([
    import("../task-hub.js"),
    import("./remotes/store-remote.js"),
  ]);
  const store = `sqlite:${file}`;
  const connection = await TaskHub.connect({
    store,
    ...(options.taskHub === undefined ? {} : { taskHub: options.taskHub }),
  });
  return storeRemote(connection, store);
}
