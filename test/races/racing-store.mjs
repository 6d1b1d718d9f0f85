// The store that racers share, from the argument that their test gives them.
import { openPostgresStore } from "../../dist/stores/postgres/store.js";
import { openSqliteStore } from "../../dist/stores/sqlite/store.js";

export function openRacingStore({ file, url }) {
  return url === undefined ? openSqliteStore({ file }) : openPostgresStore({ url });
}
