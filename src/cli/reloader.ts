import { basename } from "node:path";
import type { Logger } from "../core/env.js";
import type { AppServer } from "./app-server.js";
import { countText } from "./banner.js";
import type { AppLoader, LoadedApp } from "./load-app.js";
import { AppWatcher } from "./watch-app.js";

/**
 * Keeps a server's functions up with the app's files. What cannot be loaded or served is shown, and
 * the former functions go on.
 */
export class Reloader {
  readonly #loader: AppLoader;
  readonly #server: AppServer;
  readonly #logger: Logger;
  readonly #watcher: AppWatcher;
  #closed = false;
  /** One reload at a time; changes during one lead to one more. */
  #reloading = false;
  #changed = false;

  constructor(loader: AppLoader, app: LoadedApp, server: AppServer, logger: Logger) {
    this.#loader = loader;
    this.#server = server;
    this.#logger = logger;
    this.#watcher = new AppWatcher(app.path, logger, (files) => this.#onChange(files));
    this.#watcher.follow(app.files);
  }

  close(): void {
    this.#closed = true;
    this.#watcher.close();
  }

  #onChange(files: readonly string[]): void {
    this.#logger.info("changed: reloading", { files: files.map((file) => basename(file)).join(", ") });
    this.#changed = true;
    if (!this.#reloading) void this.#reloadAll();
  }

  async #reloadAll(): Promise<void> {
    this.#reloading = true;
    while (this.#changed && !this.#closed) {
      this.#changed = false;
      await this.#reload();
    }
    this.#reloading = false;
  }

  async #reload(): Promise<void> {
    let app: LoadedApp;
    try {
      app = await this.#loader.load();
    } catch (error) {
      this.#show("not reloaded: the former functions go on", error);
      return;
    }
    this.#watcher.follow(app.files);
    if (this.#closed) return;
    try {
      const kept = await this.#server.reload(app.definitions);
      if (kept === undefined) this.#logger.info(`reloaded: ${countText(app.definitions)}`);
      else this.#show("not reloaded: the former functions go on", kept.refused);
    } catch (error) {
      this.#show("nothing is served until the next change: the task hub cannot be opened again", error);
    }
  }

  #show(what: string, error: unknown): void {
    this.#logger.error(what);
    const message = error instanceof Error ? error.message : String(error);
    for (const line of message.split("\n")) this.#logger.error(line);
  }
}
