import { TenureError } from "../../core/errors.js";
import { Failure, GroupCommit } from "../group-commit.js";

const FAR = { far: true };

/**
 * Reads by key that share statements: what is asked for while one is under way goes with the next. Every read
 * begins after it was asked for.
 */
export class ReadBatch<Key, Value> {
  readonly #reads: GroupCommit<Key, { readonly value: Value | undefined }>;

  /** @param read finds values by their keys, each once; absent ones are left out. */
  constructor(read: (keys: readonly Key[]) => Promise<ReadonlyMap<Key, Value>>) {
    this.#reads = new GroupCommit(async (keys) => {
      try {
        const values = await read([...new Set(keys)]);
        return keys.map((key) => ({ value: values.get(key) }));
      } catch (error) {
        // For all of them at once: what has failed for one group is not asked again key by key.
        if (!(error instanceof TenureError)) throw error;
        return keys.map(() => new Failure(error));
      }
    }, FAR);
  }

  /** The values of those that are there, in the order of their keys. */
  async of(keys: readonly Key[]): Promise<Value[]> {
    const found = await this.#reads.submit(keys);
    return found.flatMap(({ value }) => (value === undefined ? [] : [value]));
  }

  close(): Promise<void> {
    return this.#reads.close();
  }
}
