import type { IncomingEvent } from "./history.js";
import type { Chunk } from "./history-codec.js";
import { decodeChunk } from "./history-codec.js";

/**
 * A row of the message table, as a store hands it over. Stores read the addresses and never the text.
 * `n` rises in commit order within a shard and is never reused.
 */
export type Message = Mail | RequestMessage;

/** For an instance that exists: events that its next turn takes in. */
export interface Mail {
  readonly kind: "mail";
  readonly n: number;
  readonly shard: number;
  readonly iid: number;
  /** Set on events and commands: they reach every generation of this run. */
  readonly run?: number;
  /** Set on starts and results: they reach this generation only. */
  readonly generation?: number;
  /** Which of the receiver's tasks a result answers. */
  readonly task?: number;
  /** The instance's mail counter after this message was accepted; absent on results. */
  readonly mail?: number;
  readonly events: Chunk;
}

/** For an ID that may not exist: a command that the receiver's owner carries out in its own transaction. */
export interface RequestMessage {
  readonly kind: "request";
  readonly n: number;
  readonly shard: number;
  readonly instanceId: string;
  readonly body: string;
}

/** The events that a mail brings, its answers addressed to the receiver's own task. */
export function readMail(mail: Pick<Mail, "events" | "task">): IncomingEvent[] {
  const events: IncomingEvent[] = [];
  for (const event of decodeChunk(mail.events)) {
    switch (event.type) {
      case "SubOrchestrationInstanceCompleted":
      case "SubOrchestrationInstanceFailed":
        events.push(mail.task === undefined ? event : { ...event, taskScheduledId: mail.task });
        break;
      case "OrchestratorStarted":
      case "ExecutionCompleted":
      case "TaskScheduled":
      case "SubOrchestrationInstanceCreated":
      case "TimerCreated":
      case "EventSent":
        break; // never sent: these record what an orchestration did itself
      default:
        events.push(event);
    }
  }
  return events;
}
