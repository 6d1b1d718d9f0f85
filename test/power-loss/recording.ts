import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseSaid, SAID_FILE, type Said } from "./said.js";

/** What the recorded process did, step by step. Paths are below its folder; "" is the folder itself. */
export type Step =
  | { readonly kind: "opened"; readonly fd: number; readonly path: string; readonly created: boolean }
  | { readonly kind: "wrote"; readonly fd: number; readonly at: number; readonly data: Buffer }
  | { readonly kind: "truncated"; readonly fd: number; readonly size: number }
  | { readonly kind: "syncing"; readonly fd: number }
  | { readonly kind: "synced"; readonly fd: number }
  | { readonly kind: "unlinked"; readonly path: string }
  | { readonly kind: "madeFolder"; readonly path: string }
  | { readonly kind: "said"; readonly said: Said };

export interface Recording {
  readonly steps: readonly Step[];
  /** As the process left it, with everything in it, synced or not. */
  readonly folder: string;
}

const SOURCE = fileURLToPath(new URL("recorder.c", import.meta.url));
const DRIVER = fileURLToPath(new URL("driver.ts", import.meta.url));
const NORMAL = new URL("normal.mjs", import.meta.url);
const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Why nothing can be recorded here; undefined where it can. */
export function whyNot(): string | undefined {
  const { status } = compile("/dev/null");
  return status === 0 ? undefined : "it needs Linux with glibc and a C compiler (cc)";
}

/** What a recording consists of, in its folder. */
const RECORDED = "recorded";
const LOG = "log";

const RECORD_TIMEOUT_MS = 300_000;

// As in recorder.c.
const CREATED = 1;
const EMPTIED = 2;
const HEAD_BYTES = 24;

export interface RecordOptions {
  readonly stories: number;
  readonly padding: number;
  /** Let SQLite flush less than the store asks for (normal.mjs). */
  readonly isNormal?: boolean;
}

/** Runs the workload under the recorder, in a folder that is there and empty. */
export function record(folder: string, { stories, padding, isNormal = false }: RecordOptions): Recording {
  const base = realpathSync(folder);
  const library = join(base, "recorder.so");
  const recorded = join(base, RECORDED);
  compile(library);
  mkdirSync(recorded);
  const driver = ["--import", "jiti/register", DRIVER, recorded, String(stories), String(padding)];
  const { signal, error, stderr } = spawnSync(process.execPath, driver, {
    cwd: ROOT,
    env: {
      ...process.env,
      ...(isNormal ? { NODE_OPTIONS: `--import=${NORMAL.href}` } : {}),
      LD_PRELOAD: library,
      TENURE_RECORD_FOLDER: recorded,
      TENURE_RECORD_LOG: join(base, LOG),
    },
    encoding: "utf8",
    timeout: RECORD_TIMEOUT_MS,
    killSignal: "SIGTERM",
  });
  // The driver ends itself so, when all is done.
  if (signal !== "SIGKILL") throw new Error(`the recorded process failed: ${stderr}`, { cause: error });
  return readRecording(base);
}

function compile(output: string): { readonly status: number | null } {
  return spawnSync("cc", ["-shared", "-fPIC", "-O1", "-o", output, SOURCE]);
}

/** What {@link record} left in this folder. */
export function readRecording(folder: string): Recording {
  const base = realpathSync(folder);
  const recorded = join(base, RECORDED);
  const log = join(base, LOG);
  if (!existsSync(log)) throw new Error(`there is no recording in ${folder}`);
  return { steps: [...readSteps(readFileSync(log), recorded)], folder: recorded };
}

function* readSteps(log: Buffer, folder: string): Generator<Step> {
  /** Files that power loss does not concern: what was said, and SQLite's shared memory, which it makes anew. */
  const others = new Map<number, "said" | "shared memory">();
  for (let at = 0; at < log.length; ) {
    const kind = String.fromCharCode(log.readInt32LE(at));
    const fd = log.readInt32LE(at + 4);
    const value = Number(log.readBigInt64LE(at + 8));
    const size = Number(log.readBigInt64LE(at + 16));
    const data = log.subarray(at + HEAD_BYTES, at + HEAD_BYTES + size);
    at += HEAD_BYTES + size;
    const path = (): string => data.toString().slice(folder.length + 1);
    if (kind === "O") {
      others.delete(fd);
      if (path() === SAID_FILE) others.set(fd, "said");
      if (path().endsWith("-shm")) others.set(fd, "shared memory");
    }
    const other = fd === -1 ? undefined : others.get(fd);
    if (other === "said" && kind === "W") yield { kind: "said", said: parseSaid(data.toString()) };
    if (other !== undefined) continue;
    switch (kind) {
      case "O":
        yield { kind: "opened", fd, path: path(), created: (value & CREATED) !== 0 };
        if ((value & EMPTIED) !== 0) yield { kind: "truncated", fd, size: 0 };
        break;
      case "W":
        yield { kind: "wrote", fd, at: value, data };
        break;
      case "T":
        yield { kind: "truncated", fd, size: value };
        break;
      case "B":
        yield { kind: "syncing", fd };
        break;
      case "E":
        yield { kind: "synced", fd };
        break;
      case "U":
        if (!path().endsWith("-shm")) yield { kind: "unlinked", path: path() };
        break;
      case "M":
        yield { kind: "madeFolder", path: path() };
        break;
      default:
        throw new Error(`the recorder wrote a step of kind ${kind}`);
    }
  }
}
