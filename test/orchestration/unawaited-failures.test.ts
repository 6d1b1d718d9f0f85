import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const CHILD = fileURLToPath(new URL("unawaited-failure-child.mjs", import.meta.url));

/** Runs the program beside this file, as Node runs it: unhandled rejections end a process. */
async function run(...args: string[]) {
  const child = spawn(process.execPath, [CHILD, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NODE_OPTIONS: "" },
    timeout: 20_000,
    killSignal: "SIGKILL",
  });
  const ended = once(child, "exit");
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  await ended;
  return { out: out.trim(), err, exitCode: child.exitCode };
}

describe("a task that fails before its orchestrator awaits it", () => {
  test.each(["keep", "replay"])(
    "is caught once it is awaited, and the process goes on (%s the run between turns)",
    async (mode) => {
      expect(await run("orchestrator", mode)).toMatchObject({
        out: "caught TaskFailedError of RangeError",
        exitCode: 0,
      });
    },
  );
});

describe("a rejection that is the program's own", () => {
  test("ends the process as ever, although a hub is open", async () => {
    const { err, exitCode } = await run("program");
    expect(err).toContain("the program's own");
    expect(exitCode).toBe(1);
  });

  test("ends the process too where it is a client's, about an orchestration whose task failed", async () => {
    const { out, exitCode } = await run("client");
    expect(out).toBe("");
    expect(exitCode).toBe(1);
  });
});
