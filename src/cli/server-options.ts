import type { Command } from "commander";
import { ConfigurationError } from "../core/errors.js";
import { isLoopback } from "../http/security.js";
import { parsePort } from "./option-values.js";
import { readKey } from "./read-key.js";
import { parseStore, storeFromEnvironment } from "./store-option.js";

/** The options of `dev` and `serve`, as given. */
export interface ServerOptions {
  readonly port: number;
  readonly host: string;
  readonly store?: string;
  readonly db?: string;
  readonly keyFile?: string;
  readonly wait?: boolean;
  readonly taskHub?: string;
  readonly queue?: readonly string[];
  readonly allowedHost?: readonly string[];
  readonly publicUrl?: string;
}

/** What a server is run with: the options, checked together. */
export interface ServerSettings {
  readonly port: number;
  readonly host: string;
  /** `sqlite:FILE`, `postgres://…` or `memory`. May hold a password: show `storeName`. */
  readonly store: string;
  /** The store as logs and people see it. */
  readonly storeName: string;
  readonly key: string | undefined;
  readonly wait: boolean;
  readonly taskHub: string | undefined;
  /** Whose activities it takes; undefined: those of every queue. */
  readonly queues: readonly string[] | undefined;
  readonly allowedHosts: readonly string[];
  readonly publicUrl: string | undefined;
}

/** As `func start`. */
const DEFAULT_PORT = 7071;

/** Adds the options of a server to a command. */
export function addServerOptions(command: Command, defaultStore: string): Command {
  return command
    .option("--port <port>", "0 takes a free one", parsePort, DEFAULT_PORT)
    .option("--host <address>", "another than loopback needs a key", "127.0.0.1")
    .option("--store <store>", `sqlite:FILE, postgres://… or memory (default: TENURE_STORE${defaultStore})`)
    .option("--db <file>", "short for --store sqlite:FILE")
    .option("--task-hub <name>", "the task hub in the store (default: default)")
    .option(
      "--queue <name>",
      "take activities of this queue only, where processes share a hub; may be repeated",
      collect,
    )
    .option("--key-file <file>", "a file with the key that callers must send (default: TENURE_KEY)")
    .option("--wait", "while another engine has the store, stand by")
    .option(
      "--allowed-host <name>",
      "a host name to serve beside localhost and --host; may be repeated",
      collect,
    )
    .option("--public-url <url>", "the server's root as callers see it, behind a proxy");
}

/**
 * Checks options that depend on each other, before anything is opened.
 *
 * @throws ConfigurationError saying what to change.
 */
export function serverSettings(options: ServerOptions, defaultStore: string | undefined): ServerSettings {
  const store = storeOf(options) ?? defaultStore;
  if (store === undefined) {
    throw new ConfigurationError(
      "No store: give --db FILE, --store sqlite:FILE, --store postgres://… or --store memory, or set TENURE_STORE.",
    );
  }
  const { description } = parseStore(store);
  const key = readKey(options.keyFile);
  if (!isLoopback(options.host) && key === undefined) {
    throw new ConfigurationError(
      `Binding to ${options.host} needs a key, because anyone who reaches it could start and end orchestrations. ` +
        "Set TENURE_KEY or --key-file, or bind to 127.0.0.1.",
    );
  }
  return {
    port: options.port,
    host: options.host,
    store,
    storeName: description,
    key,
    wait: options.wait ?? false,
    taskHub: options.taskHub,
    queues: options.queue,
    allowedHosts: allowedHosts(options),
    publicUrl: options.publicUrl,
  };
}

/** All addresses of a machine, as sockets name them. */
const EVERY_ADDRESS: readonly string[] = ["0.0.0.0", "::", "0", ""];

/**
 * The name that the server is bound to, and those given. Bound to every address without a name given it takes any:
 * what it is called there is the network's business, and the key keeps strangers out.
 */
function allowedHosts({ host, allowedHost = [] }: ServerOptions): readonly string[] {
  if (!EVERY_ADDRESS.includes(host)) return [host.includes(":") ? `[${host}]` : host, ...allowedHost];
  return allowedHost.length === 0 ? ["*"] : allowedHost;
}

function storeOf({ store, db }: ServerOptions): string | undefined {
  if (store !== undefined && db !== undefined)
    throw new ConfigurationError("Give --store or --db, not both.");
  if (db !== undefined) return `sqlite:${db}`;
  return store ?? storeFromEnvironment();
}

function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}
