import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import type { Command } from "commander";
import { addServerOptions, type ServerOptions, serverSettings } from "../server-options.js";

/** Where `tenure dev` keeps its state, so that it survives a restart. */
const DEV_FOLDER = ".tenure";
const DEV_STORE = `sqlite:${DEV_FOLDER}/hub.db`;

export function addDev(program: Command): void {
  const command = program
    .command("dev")
    .description("serve an app while you write it: reloads on change")
    .argument("[app]", "the module that exports your functions (default: ./app.ts, .mts, .mjs or .js)");
  addServerOptions(command, `, else ${DEV_STORE}`).action(dev);
}

async function dev(app: string | undefined, options: ServerOptions): Promise<void> {
  const settings = serverSettings(options, DEV_STORE);
  const [
    { findApp },
    { AppLoader },
    { readableLogger },
    { Reloader },
    { runServer },
    { banner },
    { styleFor },
  ] = await Promise.all([
    import("../find-app.js"),
    import("../load-app.js"),
    import("../readable-logger.js"),
    import("../reloader.js"),
    import("../run-server.js"),
    import("../banner.js"),
    import("../style.js"),
  ]);
  const logger = readableLogger(process.stderr);
  const loader = new AppLoader(findApp(app));
  const loaded = await loader.load();
  if (settings.store === DEV_STORE) keepOutOfGit();
  await runServer(settings, loaded.definitions, logger, (server) => {
    const { url, functions } = server;
    const served = {
      url,
      app: loaded.path,
      store: settings.storeName,
      functions,
      asksForKey: settings.key !== undefined,
    };
    // First: whoever reads the greeting may change the app at once.
    const reloader = new Reloader(loader, loaded, server, logger);
    process.stdout.write(`${banner(served, styleFor(process.stdout))}\n\n`);
    return () => reloader.close();
  });
}

function keepOutOfGit(): void {
  if (existsSync(DEV_FOLDER)) return;
  mkdirSync(DEV_FOLDER, { mode: 0o700 });
  writeFileSync(`${DEV_FOLDER}/.gitignore`, "*\n");
}
