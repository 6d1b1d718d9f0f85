import type { ClientBase } from "pg";

const heardOut = new WeakSet<ClientBase>();

/**
 * A client that is lost says so by an event, which ends the process where nobody listens; whoever uses the client is
 * told by the statement that fails. To be called in the moment in which a pool hands the client out: what comes with
 * the answer that ended its connecting, such as the server's word that it ends the session, is heard before the one
 * who waits for the client goes on.
 */
export function hearOut(client: ClientBase): void {
  if (heardOut.has(client)) return;
  heardOut.add(client);
  client.on("error", () => {});
}
