// npm run model [-- --only WORD]: searches each model with Spin; see docs/proof.md.
// Exit code 1 where a result is not the expected one, 2 where Spin or a C compiler is missing.
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { RUNS } from "./runs.mjs";

const here = dirname(fileURLToPath(import.meta.url));

/** The most memory that one search may take, in megabytes. */
const MEMORY_MB = 4000;

const INSTALL = {
  spin: "Debian and Ubuntu: apt-get install spin. macOS: brew install spin. Else: https://spinroot.com",
  cc: "Debian and Ubuntu: apt-get install gcc libc6-dev. macOS: xcode-select --install",
};

const missing = Object.keys(INSTALL).filter(
  (program) => spawnSync(program, ["--version"]).error !== undefined,
);
for (const program of missing) console.error(`${program} is not on the PATH. ${INSTALL[program]}`);
if (missing.length > 0) process.exit(2);

const flag = process.argv.indexOf("--only");
const only = flag < 0 ? undefined : (process.argv[flag + 1] ?? "");
const chosen = only === undefined ? RUNS : RUNS.filter((run) => nameOf(run).includes(only));
if (chosen.length === 0) {
  console.error(`No run is called like "${only}".`);
  process.exit(2);
}

console.log(row("model", "states", "result", "seconds", "why"));
/** By model: lines that no search of ours has reached so far. Each of them leaves out something; all together, nothing. */
const unreachedBy = new Map();
const wrong = chosen.filter((run) => {
  const began = performance.now();
  const { states, result, detail, unreached } = search(run);
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  const expected = process.env.TENURE_MODEL_EXPECT ?? run.expect; // set by the test of this program itself
  const asExpected = result === expected;
  console.log(
    row(nameOf(run), String(states), asExpected ? result : `${result.toUpperCase()}!`, seconds, run.why),
  );
  if (!asExpected) console.log(`  expected: ${expected}; ${detail}`);
  else if (result === "fails") console.log(`  ${detail}`);
  if (run.mutants.length === 0 && unreached !== undefined)
    unreachedBy.set(
      run.model,
      new Set(unreached.filter((line) => unreachedBy.get(run.model)?.has(line) ?? true)),
    );
  return !asExpected;
});
const proveNothing = only === undefined ? [...unreachedBy.values()].flatMap((lines) => [...lines]) : [];
if (proveNothing.length > 0) console.log(`never reached: ${proveNothing.join(", ")}`);
console.log(`${chosen.length} searches, ${wrong.length} not as expected`);
process.exitCode = wrong.length + proveNothing.length > 0 ? 1 : 0;

/** "commit small - NO_SEQUENCE" */
function nameOf({ model, bounds, mutants }) {
  return [`${model} ${bounds}`, ...mutants].join(" - ");
}

function row(name, states, result, seconds, why) {
  return `${name.padEnd(62)} ${states.padStart(9)}  ${result.padEnd(7)} ${seconds.padStart(7)}  ${why}`;
}

/** Makes the search program of one run, and runs it. */
function search({ model, defines, mutants, expect }) {
  const folder = mkdtempSync(join(tmpdir(), "tenure-model-"));
  try {
    const file = `${model}.pml`;
    copyFileSync(join(here, file), join(folder, file));
    const flags = [
      ...Object.entries(defines).map(([name, value]) =>
        value === true ? `-D${name}` : `-D${name}=${value}`,
      ),
      ...mutants.map((mutant) => `-D${mutant}`),
    ];
    must("spin", [...flags, "-a", file], folder);
    // SAFETY: assertions, and processes that are stuck; no cycles, which we do not ask about.
    // What fails does so soon: the compiler would take longer than the search.
    const effort = expect === "fails" ? "-O0" : "-O2";
    must("cc", [effort, "-w", "-DSAFETY", `-DMEMLIM=${MEMORY_MB}`, "-o", "pan", "pan.c"], folder);
    const { stdout, error } = spawnSync(join(folder, "pan"), ["-m100000"], {
      cwd: folder,
      encoding: "utf8",
      maxBuffer: 1 << 26,
    });
    if (error !== undefined) throw error;
    return judge(stdout);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function must(program, args, cwd) {
  const { status, stdout, stderr } = spawnSync(program, args, { cwd, encoding: "utf8" });
  if (status !== 0) throw new Error(`${program} ${args.join(" ")} failed:\n${stdout}${stderr}`);
}

/** A search that was cut short, by memory or depth, says nothing: it is neither "passes" nor "fails". */
function judge(output) {
  const states = Number(/(\d+) states, stored/.exec(output)?.[1] ?? 0);
  const errors = Number(/errors: (\d+)/.exec(output)?.[1] ?? Number.NaN);
  const failure = /^pan:\d+: (.*)$/m.exec(output)?.[1];
  const isWhole = !/max search depth too small|Search not completed|out of memory/.test(output);
  if (failure !== undefined && /assertion violated/.test(failure))
    return { states, result: "fails", detail: failure };
  if (errors === 0 && isWhole)
    return { states, result: "passes", detail: "", unreached: unreachedIn(output) };
  return { states, result: "unknown", detail: failure ?? (isWhole ? output.slice(0, 2000) : "cut short") };
}

/** Steps that are never taken. The ends of endless loops are none. */
function unreachedIn(output) {
  return [...output.matchAll(/^\t(\S+:\d+), state \d+, "(.*)"$/gm)]
    .filter(([, , step]) => step !== "-end-")
    .map(([, line]) => line);
}
