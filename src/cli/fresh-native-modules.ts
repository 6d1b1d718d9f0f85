import { register } from "node:module";
import { pathToFileURL } from "node:url";
import type { FreshModules } from "./fresh-native-modules-hooks.js";

let fresh: FreshModules | undefined;

/**
 * From now on, native ES modules under this folder (packages aside) are evaluated anew when they are
 * imported: Node keeps a module for each URL for ever, so their URLs get a version.
 */
export function freshNativeModules(folder: string): void {
  if (fresh === undefined) {
    // Shared memory: the hooks run in a thread of their own, and must know the version at once.
    fresh = {
      version: new Int32Array(new SharedArrayBuffer(4)),
      folder: `${pathToFileURL(folder).href}/`,
      ours: new URL("../", import.meta.url).href,
    };
    register("./fresh-native-modules-hooks.js", import.meta.url, { data: fresh });
  }
  Atomics.add(fresh.version, 0, 1);
}
