/** Texts are few and fixed, so that what was replaced once is kept. */
const texts = new Map<string, Map<string, string>>();

/** The statement with each `@name` replaced by the table of that name in the schema. */
export function qualify(sql: string, schema: string): string {
  let ofSchema = texts.get(schema);
  if (ofSchema === undefined) {
    ofSchema = new Map();
    texts.set(schema, ofSchema);
  }
  let text = ofSchema.get(sql);
  if (text === undefined) {
    text = sql.replace(/@([a-z_]+)/g, (_all, table: string) => `${quoteName(schema)}.${table}`);
    ofSchema.set(sql, text);
  }
  return text;
}

/** A name as SQL wants it where it may be anything. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A text as a constant of a statement that takes no parameters. */
export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
