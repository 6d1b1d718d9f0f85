import type { InitializeHook, ResolveHook } from "node:module";

/** What the hooks are told when they are registered; `version` is shared memory. */
export interface FreshModules {
  readonly version: Int32Array;
  /** Modules under this URL get the version. */
  readonly folder: string;
  /** This package's own modules, which never do. */
  readonly ours: string;
}

let fresh: FreshModules | undefined;

/** Called by Node once, in the thread of the hooks. */
export const initialize: InitializeHook<FreshModules> = (data) => {
  fresh = data;
};

/** Gives the app's own modules a URL of this version. */
export const resolve: ResolveHook = async (specifier, context, nextResolve) => {
  const resolved = await nextResolve(specifier, context);
  if (fresh === undefined || !isFresh(resolved.url, fresh)) return resolved;
  return { ...resolved, url: `${resolved.url}?version=${Atomics.load(fresh.version, 0)}` };
};

function isFresh(url: string, { folder, ours }: FreshModules): boolean {
  return (
    url.startsWith(folder) && !url.startsWith(ours) && !url.includes("/node_modules/") && !url.includes("?")
  );
}
