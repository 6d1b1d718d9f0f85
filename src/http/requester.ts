import { MAX_USER_AGENT_LENGTH } from "./limits.js";

/** What a server knows of the connection that a request came over. */
export interface Connection {
  readonly remoteAddress?: string | undefined;
  /** As @hono/node-server hands it to a handler, so that ours can be given to it directly. */
  readonly incoming?: { readonly socket: { readonly remoteAddress?: string | undefined } };
}

/** Who asks, as shown with a refused start: the address, where it is known, and the user agent. */
export function requesterOf(request: Request, connection: Connection | undefined): string {
  const address = connection?.remoteAddress ?? connection?.incoming?.socket.remoteAddress ?? "http";
  const agent = request.headers.get("user-agent")?.slice(0, MAX_USER_AGENT_LENGTH);
  return agent === undefined ? address : `${address} ${agent}`;
}
