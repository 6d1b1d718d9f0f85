import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Database } from "./database.js";
import { parseLocation } from "./location.js";
import { withSession } from "./session.js";

const AUTHENTICATED = message("R", Buffer.from([0, 0, 0, 0]));
const READY = message("Z", Buffer.from("I"));
const ENDED = message(
  "E",
  Buffer.from("SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"),
);

function message(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeInt32BE(4 + body.length, 1);
  return Buffer.concat([head, body]);
}

/** A server that ends each session in the same breath in which it has let it in. */
let server: Server;
let url = "";

beforeAll(async () => {
  server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => socket.end(Buffer.concat([AUTHENTICATED, READY, ENDED])));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  url = `postgres://ada@127.0.0.1:${address.port}/d`;
});

afterAll(() => {
  server.close();
});

// An event that nobody hears ends the process: the test run would say so.
test("a session that ends in the moment in which it begins is an error of whoever wanted it", async () => {
  const location = parseLocation(url);
  await expect(withSession(location, (query) => query("select 1"))).rejects.toThrow("/d/tenure");
  const capabilities = { notify: true, advisoryLocks: true, skipLocked: true };
  await expect(Database.open({ ...location, capabilities })).rejects.toThrow("cannot be reached");
});
