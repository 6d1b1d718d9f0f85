import { KEY_PARAMETER } from "./security.js";
import type { HttpManagementPayload } from "./trigger/durable-client.js";

/** Where the management API lives: Durable Functions' place since Functions 2.x. */
export const MANAGEMENT_PATH = "/runtime/webhooks/durabletask";

/** Where user triggers live. */
export const TRIGGER_PATH = "/api";

/** What the URLs in our answers are made of. */
export interface UrlBase {
  /** The server's own root as callers see it, where it is known; else each request's host is taken. */
  readonly publicUrl: URL | undefined;
  /** The path under which the handler is mounted: empty or `/like/this`. */
  readonly basePath: string;
  readonly taskHub: string;
}

/**
 * The URLs of an instance, under the host that the request was sent to (forwarding headers are not
 * believed). They carry the key only where the caller sent it so: whoever sends it in a header has no
 * key leaked into logs and browser histories by our answers.
 */
export function managementPayload(
  request: Request,
  base: UrlBase,
  instanceId: string,
): HttpManagementPayload {
  const url = new URL(request.url);
  const instance = `${rootOf(url, base)}${MANAGEMENT_PATH}/instances/${encodeURIComponent(instanceId)}`;
  const common = commonQuery(url, base.taskHub);
  return {
    id: instanceId,
    statusQueryGetUri: `${instance}?${common}`,
    sendEventPostUri: `${instance}/raiseEvent/{eventName}?${common}`,
    terminatePostUri: `${instance}/terminate?reason={text}&${common}`,
    rewindPostUri: `${instance}/rewind?reason={text}&${common}`,
    purgeHistoryDeleteUri: `${instance}?${common}`,
    restartPostUri: `${instance}/restart?${common}`,
    suspendPostUri: `${instance}/suspend?reason={text}&${common}`,
    resumePostUri: `${instance}/resume?reason={text}&${common}`,
  };
}

/** The server's root as this caller sees it, without a slash at the end. */
export function rootOf(url: URL, { publicUrl, basePath }: UrlBase): string {
  return publicUrl === undefined ? `${url.origin}${basePath}` : publicUrl.href.replace(/\/$/, "");
}

/** Clients of Durable Functions add further parameters with `&`, so that there is always one before. */
function commonQuery(url: URL, taskHub: string): string {
  const key = url.searchParams.get(KEY_PARAMETER);
  const hub = `taskHub=${encodeURIComponent(taskHub)}`;
  return key === null ? hub : `${hub}&${KEY_PARAMETER}=${encodeURIComponent(key)}`;
}
