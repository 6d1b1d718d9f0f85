/** What can be bound to a statement. Integers are bigint columns; JavaScript's stay below 2^53. */
export type SqlValue = string | number | boolean | null | readonly (string | number | boolean | null)[];

/** A row: its columns in the order of the statement's list. */
export type Columns = readonly unknown[];

/**
 * Runs one statement. `@name` in the text stands for the table of that name in the deployment's schema.
 * Texts are few and fixed: each is prepared once per connection, where sessions may be kept.
 */
export type Query = (sql: string, values?: readonly SqlValue[]) => Promise<readonly Columns[]>;
