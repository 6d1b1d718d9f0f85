import type { Command, OutboundRequest } from "../src/core/command.js";
import type { ParentLink } from "../src/core/instance.js";
import { decodeRequest, type Request } from "../src/core/request.js";

/** Something that an instance asked of another ID. */
interface Sent {
  /** The run that asked, by its row. */
  readonly sender: string;
  readonly startsChild: boolean;
}

/**
 * What instances have asked of other IDs and what became of it: each request is carried out once, or withdrawn with
 * the run that sent it. A child's start is known by its parent's execution and task, anything else by what it says.
 */
export class Requests {
  readonly #keys = new Set<string>();
  readonly #sent = new Map<string, Sent[]>();

  /** @returns whether it was not sent before. */
  send(sender: string, request: OutboundRequest): boolean {
    const isNew = !this.#keys.has(request.deduplicationKey);
    this.#keys.add(request.deduplicationKey);
    const what = nameOfRequest(request.instanceId, request.body);
    const sent = { sender, startsChild: request.startsChild };
    this.#sent.set(what, [...(this.#sent.get(what) ?? []), sent]);
    return isNew;
  }

  /** A live child of a run is told that the run was ended. */
  sendEnd(ended: string, instanceId: string): void {
    const what = endOf(ended, instanceId);
    const sent = { sender: ended, startsChild: false };
    this.#sent.set(what, [...(this.#sent.get(what) ?? []), sent]);
  }

  /** @returns whether it was on its way. */
  carryOut(command: Command): boolean {
    const what = nameOfCommand(command);
    const [first, ...others] = this.#sent.get(what) ?? [];
    if (others.length > 0) this.#sent.set(what, others);
    else this.#sent.delete(what);
    return first !== undefined;
  }

  /** Those of a run's children's starts that were not carried out yet. */
  withdraw(sender: string): void {
    for (const [what, sent] of this.#sent) {
      const left = sent.filter((each) => !(each.startsChild && each.sender === sender));
      if (left.length > 0) this.#sent.set(what, left);
      else this.#sent.delete(what);
    }
  }

  /** What is on its way, in order of its name. */
  get left(): readonly string[] {
    return [...this.#sent].flatMap(([what, sent]) => sent.map(() => what)).toSorted();
  }
}

/** What a request message says, as {@link Requests.left} names it. */
export function nameOfRequest(instanceId: string, body: string): string {
  const request = decodeRequest(body);
  switch (request.kind) {
    case "rewind":
      return nameOf(instanceId, request.restart);
    case "terminate":
      return endOf(runText(request.onlyChildOf), instanceId);
    default:
      return nameOf(instanceId, request);
  }
}

function nameOfCommand(command: Command): string {
  const { instanceId } = command;
  switch (command.kind) {
    case "rewind":
      return command.orElse === undefined
        ? `a rewind of ${instanceId} for nobody`
        : nameOf(instanceId, command.orElse);
    case "terminate":
      return endOf(runText(command.onlyChildOf), instanceId);
    case "start":
    case "raise":
      return nameOf(instanceId, command);
    default:
      return `${command.kind} ${instanceId}`;
  }
}

function nameOf(
  instanceId: string,
  asked: Pick<Request & { readonly kind: "start" }, "kind" | "name" | "input" | "parent"> | RaiseRequest,
): string {
  const by = asked.kind === "start" ? ` by ${callText(asked.parent)}` : "";
  return `${asked.kind} ${instanceId}: ${asked.name} ${asked.input}${by}`;
}

type RaiseRequest = Pick<Request & { readonly kind: "raise" }, "kind" | "name" | "input">;

function callText(parent: ParentLink | undefined): string {
  return parent === undefined
    ? "nobody"
    : `${parent.iid} ${parent.run} ${parent.generation} ${parent.executionId}:${parent.task}`;
}

function endOf(ended: string, instanceId: string): string {
  return `end of ${instanceId} by ${ended}`;
}

function runText(run: { readonly iid: number; readonly run: number } | undefined): string {
  return run === undefined ? "nobody" : `${run.iid} ${run.run}`;
}
