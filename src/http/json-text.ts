import { duplicateKey } from "./duplicate-key.js";
import { jsonErrorPosition } from "./json-error-position.js";
import { MAX_JSON_DEPTH } from "./limits.js";
import { HttpError } from "./problem.js";

/**
 * Parses a request's JSON.
 *
 * @throws HttpError InvalidJson with the position; also for a key that stands twice in an object, and for
 * nesting deeper than {@link MAX_JSON_DEPTH}: JSON.parse takes any depth, but JSON.stringify later overflows
 * the stack.
 */
export function parseJsonText(text: string): unknown {
  checkDepth(text);
  const value = parse(text);
  checkKeys(text);
  return value;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const position = jsonErrorPosition(text);
    const found =
      position < text.length ? `unexpected ${JSON.stringify(charAt(text, position))}` : "it ends too early";
    throw new HttpError("InvalidJson", `Invalid JSON content: ${found} ${place(text, position)}.`, { cause });
  }
}

function checkKeys(text: string): void {
  const twice = duplicateKey(text);
  if (twice === undefined) return;
  const key = JSON.stringify(twice.key.slice(0, 80));
  throw new HttpError(
    "InvalidJson",
    `Invalid JSON content: the key ${key} stands there a second time ${place(text, twice.position)}.`,
  );
}

/** Counts brackets outside strings. Text that is not JSON may be miscounted; the parser refuses it anyway. */
function checkDepth(text: string): void {
  let depth = 0;
  let inString = false;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (inString) {
      if (code === BACKSLASH) index += 1;
      else if (code === QUOTE) inString = false;
    } else if (code === QUOTE) {
      inString = true;
    } else if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      depth += 1;
      if (depth > MAX_JSON_DEPTH) {
        throw new HttpError(
          "InvalidJson",
          `Invalid JSON content: nested deeper than ${MAX_JSON_DEPTH} ${place(text, index)}. Flatten the value.`,
        );
      }
    } else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) {
      depth -= 1;
    }
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

function charAt(text: string, position: number): string {
  return String.fromCodePoint(text.codePointAt(position) ?? 0);
}

function place(text: string, position: number): string {
  const lines = text.slice(0, position).split("\n");
  return `at position ${position} (line ${lines.length} column ${(lines.at(-1)?.length ?? 0) + 1})`;
}
