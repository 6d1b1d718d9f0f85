import type { Client } from "pg";

/** Pauses between attempts to listen again. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

export interface ListenerParts {
  /** Gives a client that is not connected yet. */
  readonly newClient: () => Client;
  readonly channel: string;
  /** Holds a shared lock of the channel's name while it listens, so that others see that somebody does. */
  readonly marks: boolean;
  readonly onWord: (payload: string) => void;
  /** Listening has begun, or has ended: what is said in between is not heard. */
  readonly onConnected: (isConnected: boolean) => void;
}

/** Listens on a connection of its own, and again after it was lost. */
export class Listener {
  readonly #parts: ListenerParts;
  #client: Client | undefined;
  #timer: NodeJS.Timeout | undefined;
  #failures = 0;
  #closed = false;
  #pid: number | undefined;

  constructor(parts: ListenerParts) {
    this.#parts = parts;
    void this.#connect();
  }

  /** The server's process for this session, while it listens. */
  get pid(): number | undefined {
    return this.#pid;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#client?.end().catch(() => {});
  }

  async #connect(): Promise<void> {
    const { newClient, channel, marks, onWord, onConnected } = this.#parts;
    const client = newClient();
    this.#client = client;
    client.on("error", () => {}); // `end` follows
    client.on("notification", ({ payload }) => onWord(payload ?? ""));
    client.on("end", () => this.#lost(client));
    try {
      await client.connect();
      await client.query(`listen ${channel}`);
      const lock = marks ? "pg_advisory_lock_shared(hashtextextended($1::text, 0))" : "$1::text";
      const { rows } = await client.query<{ pid: number }>(`select pg_backend_pid() as pid, ${lock}::text`, [
        channel,
      ]);
      if (this.#closed || this.#client !== client) return;
      this.#pid = rows[0]?.pid;
    } catch {
      await client.end().catch(() => {});
      this.#lost(client);
      return;
    }
    this.#failures = 0;
    onConnected(true);
  }

  #lost(client: Client): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    const wasListening = this.#pid !== undefined;
    this.#pid = undefined;
    if (this.#closed) return;
    if (wasListening) this.#parts.onConnected(false);
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** this.#failures, LONGEST_PAUSE_MS) * (0.5 + Math.random());
    this.#failures += 1;
    this.#timer = setTimeout(() => void this.#connect(), pauseMs);
  }
}
