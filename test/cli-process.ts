// Runs the built CLI as real processes, in projects of their own.
import { type ChildProcess, spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
export const cli = join(root, "dist", "cli", "main.js");

/** A process that was started, and everything that it has said so far. */
export interface Running {
  readonly process: ChildProcess;
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Rejects, with what was said, when the process ends without having said it. */
  readonly said: (pattern: RegExp, timeoutMs?: number) => Promise<RegExpExecArray>;
  /** The exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
}

export interface Result {
  readonly code: number | NodeJS.Signals;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  /** Of the input. Default UTF-8. */
  readonly encoding?: BufferEncoding;
}

const children = new Set<Running>();
const folders: string[] = [];

/** Ends what tests have left running, and removes their projects. For afterEach or afterAll. */
export async function cleanUp(): Promise<void> {
  const left = [...children];
  for (const { process } of left) process.kill("SIGKILL");
  await Promise.all(left.map(({ ended }) => ended));
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
}

/** A new folder with these files. Its node_modules has the package as it is built. */
export function project(files: Readonly<Record<string, string>>): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "tenure-cli-")));
  folders.push(folder);
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(root, join(folder, "node_modules", "tenure"), "dir");
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  return folder;
}

/** Starts a process. */
export function launch(command: string, args: readonly string[], options: RunOptions = {}): Running {
  const child = spawn(command, args, {
    cwd: options.cwd ?? root,
    env: { ...cleanEnvironment(), ...options.env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  let over = false;
  const listeners = new Set<() => void>();
  const tell = (): void => {
    for (const listener of listeners) listener();
  };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    tell();
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
    tell();
  });
  child.stdin.on("error", () => {}); // it may end before it has read its input
  child.stdin.end(options.input ?? "", options.encoding ?? "utf8");
  const ended = new Promise<number | NodeJS.Signals>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => {
      over = true;
      children.delete(running);
      resolve(code ?? signal ?? -1);
      tell();
    });
  });
  const running: Running = {
    process: child,
    stdout: () => stdout,
    stderr: () => stderr,
    ended,
    said: (pattern, timeoutMs = 20_000) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const match = pattern.exec(stdout) ?? pattern.exec(stderr);
          if (match === null && !over) return;
          clearTimeout(timer);
          listeners.delete(look);
          if (match === null) reject(new Error(`ended without saying ${pattern}:\n${stdout}\n${stderr}`));
          else resolve(match);
        };
        const timer = setTimeout(() => {
          listeners.delete(look);
          reject(new Error(`did not say ${pattern}:\n${stdout}\n${stderr}`));
        }, timeoutMs);
        listeners.add(look);
        look();
      }),
  };
  children.add(running);
  return running;
}

/** Runs a command of the CLI to its end. */
export async function tenure(args: readonly string[], options: RunOptions = {}): Promise<Result> {
  const running = launch(process.execPath, [cli, ...args], options);
  const code = await running.ended;
  return { code, stdout: running.stdout(), stderr: running.stderr() };
}

/** A server that listens on a free port. */
export interface Serving extends Running {
  readonly url: string;
}

/** Starts `tenure dev` or `tenure serve` on a free port, and waits until it listens. */
export async function serving(args: readonly string[], options: RunOptions = {}): Promise<Serving> {
  const running = launch(process.execPath, [cli, ...args, "--port", "0"], options);
  const [, url = ""] = await running.said(/(http:\/\/[\w.[\]:]+:\d+)/);
  return { ...running, url };
}

/** Ends a server, and tells how it ended. */
export async function end(
  { process, ended }: Running,
  signal: NodeJS.Signals,
): Promise<number | NodeJS.Signals> {
  process.kill(signal);
  return ended;
}

/** Waits until something holds; for what a process does without saying so. */
export async function until<T>(look: () => Promise<T | undefined>, timeoutMs = 20_000): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const seen = await look();
    if (seen !== undefined) return seen;
    if (Date.now() > deadline)
      throw new Error(`it did not come about within ${timeoutMs} ms: ${look.toString()}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 25);
    });
  }
}

/** Without settings of whoever runs the tests. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(TENURE_|NODE_OPTIONS$|NODE_ENV$|VITEST|FORCE_COLOR$)/.test(name),
  );
  return Object.fromEntries(kept);
}

if (!existsSync(cli)) throw new Error("The CLI is not built: npm test builds it first.");
