import { createHash } from "node:crypto";
import type { ClientBase } from "pg";
import { columnTypes } from "./driver.js";
import { DatabaseFault } from "./fault.js";
import { inTime, LateError } from "./in-time.js";
import { qualify } from "./qualify.js";
import type { Columns, Query, SqlValue } from "./query.js";

/** A statement as it is sent. */
interface Text {
  readonly text: string;
  /** What it is prepared under: the same on every connection. */
  readonly name: string;
}

/** Puts the schema into statements: `@inst` becomes `"tenure"."inst"`. Texts are few; each is worked on once. */
export class Texts {
  readonly #schema: string;
  readonly #known = new Map<string, Text>();

  constructor(schema: string) {
    this.#schema = schema;
  }

  of(sql: string): Text {
    const known = this.#known.get(sql);
    if (known !== undefined) return known;
    const text = qualify(sql, this.#schema);
    const name = `tenure_${createHash("sha256").update(text).digest("hex").slice(0, 16)}`;
    const made = { text, name };
    this.#known.set(sql, made);
    return made;
  }
}

/** What we need of the driver's clients, an application's own among them. */
type Client = Pick<ClientBase, "query">;

export interface ConnectionOptions {
  readonly prepares: boolean;
  /**
   * How long an answer is waited for; 0: as long as it takes. A host that is gone says nothing, and the connection
   * of an application's pool may have no limit of its own.
   */
  readonly silenceMs: number;
  /** Called for each round trip. */
  readonly count?: () => void;
}

/** A connection that somebody has taken from a pool. Whatever fails is a {@link DatabaseFault}. */
export class Connection {
  readonly #client: Client;
  readonly #texts: Texts;
  readonly #prepares: boolean;
  readonly #silenceMs: number;
  readonly #count: () => void;
  #broken = false;
  #silent = false;

  constructor(client: Client, texts: Texts, { prepares, silenceMs, count }: ConnectionOptions) {
    this.#client = client;
    this.#texts = texts;
    this.#prepares = prepares;
    this.#silenceMs = silenceMs;
    this.#count = count ?? (() => {});
  }

  readonly query: Query = async (sql, values = []) => {
    const { text, name } = this.#texts.of(sql);
    return this.#send(text, this.#prepares && values.length > 0 ? name : undefined, values);
  };

  /** Whether it must not be used again. */
  get broken(): boolean {
    return this.#broken;
  }

  /** Whether an answer was waited for in vain: its host may be gone. */
  get silent(): boolean {
    return this.#silent;
  }

  /**
   * Several statements in one round trip, sent as they stand, with neither parameters nor rows. Returns what the
   * last one did, e.g. COMMIT.
   */
  async command(sql: string): Promise<string> {
    this.#count();
    try {
      const result: unknown = await this.#answer(this.#client.query(sql));
      const last: unknown = Array.isArray(result) ? result.at(-1) : result;
      return typeof last === "object" && last !== null && "command" in last ? String(last.command) : "";
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /** Ends a transaction that failed, unless the server has, or cannot be asked. */
  async rollBack(): Promise<void> {
    if (this.#broken) return;
    try {
      await this.command("rollback");
    } catch {
      this.#broken = true;
    }
  }

  /** Whoever has not been answered in time may be answered the next one's question: the connection is broken. */
  #answer<T>(asked: Promise<T>): Promise<T> {
    return inTime(asked, this.#silenceMs, `no answer for ${this.#silenceMs / 1000} s`);
  }

  #failed(error: unknown): DatabaseFault {
    const fault = new DatabaseFault(error);
    if (fault.kind === "lost") this.#broken = true;
    if (error instanceof LateError) this.#silent = true;
    return fault;
  }

  async #send(
    text: string,
    name: string | undefined,
    values: readonly SqlValue[],
  ): Promise<readonly Columns[]> {
    this.#count();
    try {
      const { rows } = await this.#answer(
        this.#client.query<unknown[], SqlValue[]>({
          text,
          values: [...values],
          rowMode: "array",
          types: columnTypes,
          ...(name === undefined ? {} : { name }),
        }),
      );
      return rows;
    } catch (error) {
      throw this.#failed(error);
    }
  }
}
