/** Whether a store's address is that of a PostgreSQL server. */
export function isPostgresUrl(store: string): boolean {
  return /^postgres(ql)?:\/\//.test(store);
}

/** An address as messages show it, also where it is mistyped: without password or key. */
export function withoutPassword(store: string): string {
  return store.replace(/^([\w+.-]*:\/*)?.*@/s, "$1…@").replace(/([?&](?:password|code)=)[^&]*/gi, "$1…");
}
