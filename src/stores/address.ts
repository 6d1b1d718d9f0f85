/** Whether a store's address is that of a PostgreSQL server. */
export function isPostgresUrl(store: string): boolean {
  return /^postgres(ql)?:\/\//.test(store);
}

/** A store's address as messages show it: without the password of a URL. */
export function withoutPassword(store: string): string {
  return store.replace(/:\/\/.*@/s, "://…@").replace(/([?&]password=)[^&]*/gi, "$1…");
}
