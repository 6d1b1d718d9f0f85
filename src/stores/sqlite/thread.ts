// The store's thread: runs a SqliteDatabase for the thread that started it.
import { parentPort, workerData } from "node:worker_threads";
import { TurnWatch } from "../turn-watch.js";
import { openDatabase, type SqliteDatabase } from "./database.js";
import { DatabaseFault, faultOf } from "./fault.js";
import { callDatabase } from "./host.js";
import { Lookout } from "./lookout.js";
import { AWAKE_MS, isLone, Vigil } from "./vigil.js";
import { type Ask, decodeOperations, optionsOf, type Reply } from "./wire.js";

const port = parentPort;
if (port === null) throw new TypeError("this module is for a worker thread");

let replies: Reply[] = [];

function reply(answer: Reply): void {
  replies.push(answer);
}

/** What was answered since the last message goes in one: a message costs more than most answers. */
function sendReplies(): void {
  if (replies.length === 0) return;
  port?.postMessage(replies);
  replies = [];
}

const options = optionsOf(workerData);
const store = `sqlite:${options.file}`;
try {
  serve(await openDatabase(options));
} catch (error) {
  reply({ kind: "notOpened", fault: error instanceof DatabaseFault ? error.fault : faultOf(error, store) });
  sendReplies();
}

function serve(database: SqliteDatabase): void {
  const lookout = new Lookout(database, options.file, () => {
    reply({ kind: "foundElsewhere" });
    sendReplies();
  });
  const vigil = new Vigil();
  const turnWatch = new TurnWatch({
    strike: (turn) => {
      database.recordStrike(turn);
      return database.describe(turn.iid);
    },
    withdraw: (turn) => database.withdrawStrike(turn),
  });
  port?.on("message", (asks: readonly Ask[]) => {
    vigil.end();
    for (const ask of asks) handle(ask);
    sendReplies();
    if (asks.some((ask) => ask.kind === "write" && isLone(ask.operations))) vigil.keep(AWAKE_MS);
  });
  reply({ kind: "opened", secret: database.secret });
  sendReplies();

  function handle(ask: Ask): void {
    switch (ask.kind) {
      case "write":
        sendReplies(); // what was read before need not wait for the flush
        answer(ask.id, () => {
          const { results, notice } = database.write(decodeOperations(ask.operations));
          reply({ kind: "wrote", id: ask.id, results, notice });
        });
        break;
      case "call":
        answer(ask.id, () => {
          reply({ kind: "returned", id: ask.id, result: callDatabase(database, ask.method, ask.args) });
        });
        break;
      case "lookElsewhere":
        lookout.set(ask.looks);
        break;
      case "watchTurns":
        turnWatch.start(ask.board);
        break;
      case "close":
        answer(ask.id, () => {
          lookout.set(false);
          turnWatch.stop();
          database.close();
          reply({ kind: "returned", id: ask.id, result: undefined });
        });
        sendReplies();
        // With its port closed nothing keeps the thread alive.
        port?.close();
        break;
    }
  }
}

function answer(id: number, work: () => void): void {
  try {
    work();
  } catch (error) {
    reply({ kind: "failed", id, fault: faultOf(error, store) });
  }
}
