import type { Command } from "commander";
import { addServerOptions, type ServerOptions, serverSettings } from "../server-options.js";

export function addServe(program: Command): void {
  const command = program
    .command("serve")
    .description("serve an app: for production, with JSON logs")
    .argument("[app]", "the module that exports your functions (default: ./app.ts, .mts, .mjs or .js)");
  addServerOptions(command, "").action(serve);
}

async function serve(app: string | undefined, options: ServerOptions): Promise<void> {
  const settings = serverSettings(options, undefined);
  const [{ findApp }, { AppLoader }, { jsonLogger }, { runServer }] = await Promise.all([
    import("../find-app.js"),
    import("../load-app.js"),
    import("../json-logger.js"),
    import("../run-server.js"),
  ]);
  const logger = jsonLogger();
  const loaded = await new AppLoader(findApp(app)).load();
  await runServer(settings, loaded.definitions, logger, (server) => {
    logger.info("serving", { url: server.url, app: loaded.path, store: settings.storeName });
    return () => {};
  });
}
