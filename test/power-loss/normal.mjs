// Preloaded into the recorded process and its store's thread (`--normal`): the store with synchronous=NORMAL, whatever
// it sets and reads back. Shows what its setting is worth.
import { Connection } from "../../dist/stores/sqlite/connection.js";

const exec = Reflect.get(Connection.prototype, "exec");
const sql = Reflect.get(Connection.prototype, "sql");

Connection.prototype.exec = function (text) {
  const pragma = text === "pragma synchronous = full" ? "pragma synchronous = normal" : text;
  Reflect.apply(exec, this, [pragma]);
};

Connection.prototype.sql = function (text) {
  return Reflect.apply(sql, this, [text === "pragma synchronous" ? "select 2" : text]);
};
