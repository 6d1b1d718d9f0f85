/** The PostgreSQL store, for whoever hands in a pool of their own: `TaskHub.open({ store: await openPostgresStore(…) })`. */
export type { Capabilities } from "./capabilities.js";
export type { LeaseTimes } from "./lease-times.js";
export { openPostgresStore, type PostgresStore, type PostgresStoreOptions } from "./store.js";
