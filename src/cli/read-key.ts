import { readFileSync } from "node:fs";
import { ConfigurationError } from "../core/errors.js";

/**
 * The key that a server asks for and a client sends: from `--key-file`, else from TENURE_KEY. Never
 * from an argument, which every user of the machine can read.
 *
 * @throws ConfigurationError when the file cannot be read or holds no key.
 */
export function readKey(keyFile: string | undefined): string | undefined {
  if (keyFile === undefined) return fromEnvironment();
  let content: string;
  try {
    content = readFileSync(keyFile, "utf8");
  } catch (cause) {
    throw new ConfigurationError(`The key file ${keyFile} cannot be read.`, { cause });
  }
  const [key = ""] = content.split("\n");
  return checked(key.trim(), `the key file ${keyFile}`);
}

function fromEnvironment(): string | undefined {
  const key = process.env["TENURE_KEY"];
  return key === undefined || key === "" ? undefined : checked(key, "TENURE_KEY");
}

/** A key travels as a header: printable ASCII without spaces. */
function checked(key: string, source: string): string {
  if (key === "") throw new ConfigurationError(`There is no key in ${source}. Put one on its first line.`);
  if (/^[!-~]+$/.test(key)) return key;
  throw new ConfigurationError(
    `The key in ${source} has characters that a header cannot carry: use letters and digits.`,
  );
}
