import { readFileSync } from "node:fs";
import { buffer } from "node:stream/consumers";
import { InvalidArgumentError } from "../core/errors.js";
import { duplicateKey } from "../http/duplicate-key.js";

/**
 * Reads an input given on the command line: JSON, `@file`, or `-` for standard input. Undefined where
 * nothing was given, and for an empty standard input.
 *
 * @throws InvalidArgumentError for a file that cannot be read and for anything but JSON in UTF-8 without a key that
 * stands twice in an object.
 */
export async function readJsonInput(option: string, given: string | undefined): Promise<unknown> {
  if (given === undefined) return undefined;
  if (given === "-") {
    const json = decode(option, await buffer(process.stdin), "standard input");
    return json.trim() === "" ? undefined : parse(option, json, "standard input");
  }
  if (given.startsWith("@")) {
    const file = given.slice(1);
    return parse(option, decode(option, readFile(option, file), file), file);
  }
  return parse(option, given, given);
}

function readFile(option: string, file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new InvalidArgumentError(option, `${file} cannot be read`, { cause });
  }
}

/** Not leniently: that would make U+FFFD of each byte that is not UTF-8, and one value of many. */
function decode(option: string, bytes: Uint8Array, source: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new InvalidArgumentError(
      option,
      `${source.slice(0, 80)} is not UTF-8 text. Convert it, e.g. with iconv`,
      {
        cause,
      },
    );
  }
}

function parse(option: string, json: string, source: string): unknown {
  const value = parseJson(option, json, source);
  const twice = duplicateKey(json);
  if (twice === undefined) return value;
  const key = JSON.stringify(twice.key.slice(0, 80));
  throw new InvalidArgumentError(option, `${source.slice(0, 80)} has the key ${key} twice in one object`);
}

function parseJson(option: string, json: string, source: string): unknown {
  try {
    return JSON.parse(json);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const hint = json === source ? ` A text needs quotes: ${option} '"${json.slice(0, 20)}"'.` : "";
    throw new InvalidArgumentError(option, `${source.slice(0, 80)} is not JSON (${why}).${hint}`, { cause });
  }
}
