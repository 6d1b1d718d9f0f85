// An engine on a SQLite file, for tests that kill, stop or starve it. Argument: {file, witness} as JSON.
// Says "ready PID" once it runs; ends in order with SIGTERM, and when whoever started it is gone.
import process from "node:process";
import { TaskHub } from "../../dist/index.js";
import { functionsFor } from "./sqlite-functions.mjs";
import { openTelling } from "./sqlite-store.mjs";

const { file, witness } = JSON.parse(process.argv[2] ?? "{}");

const log = (level) => (message, fields) =>
  process.stderr.write(`${level}: ${message} ${fields?.error ?? ""}\n`);
const hub = await TaskHub.open({
  store: await openTelling(file, witness),
  functions: functionsFor(witness),
  logger: { debug: () => {}, info: log("info"), warn: log("warn"), error: log("error") },
});

async function close() {
  await hub.close();
  process.exit(0);
}

process.on("SIGTERM", () => void close());
process.stdin.on("end", () => process.exit(9)).resume();
process.stdout.write(`ready ${process.pid}\n`);
