import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { AppLoadError } from "../core/errors.js";
import { describeFailure } from "../core/failure.js";

/** Where in the user's code a load failed. */
interface Position {
  readonly file: string;
  readonly line: number;
  readonly column?: number;
}

/**
 * What an app's module threw while it was loaded, as an error that names file and position.
 *
 * @param translated by jiti, which keeps lines and moves columns.
 */
export function appLoadError(app: string, thrown: unknown, translated: boolean): AppLoadError {
  const { type, message, stack } = describeFailure(thrown);
  const found = positionIn(stack ?? message);
  const exact = !translated || message.startsWith("ParseError");
  const position = found === undefined || exact ? found : { file: found.file, line: found.line };
  const [summary = message] = message.split("\n");
  const what = type === "Error" ? summary.trim() : `${type}: ${summary.trim()}`;
  const hint = hintFor(thrown);
  return new AppLoadError(
    `Cannot load ${position === undefined ? app : positionText(position)}: ${what}` +
      (position === undefined ? "" : excerpt(position)) +
      (hint === undefined ? "" : `\n${hint}`),
    { cause: thrown },
  );
}

/** Whether this is a syntax error of a native ES module, which Node reports without saying where. */
export function lacksPosition(error: unknown): boolean {
  return error instanceof SyntaxError && positionIn(error.stack ?? "") === undefined;
}

/** The first place in a stack, or in the message of a parse error, that is neither Node's, jiti's nor a package's. */
function positionIn(text: string): Position | undefined {
  for (const line of text.split("\n")) {
    const match = /(?:^|[\s(])((?:file:\/\/)?(?:\/|[A-Za-z]:[\\/])[^():\n]*):(\d+)(?::(\d+))?\)?$/.exec(
      line.trimEnd(),
    );
    const [, place, row, column] = match ?? [];
    if (place === undefined || row === undefined || /[\\/](?:node_modules|dist[\\/]cli)[\\/]/.test(place))
      continue;
    return {
      file: place.startsWith("file:") ? fileURLToPath(place) : place,
      line: Number(row),
      // Babel, by which jiti parses, counts columns from 0.
      ...(column === undefined ? {} : { column: Number(column) + (text.includes("ParseError") ? 1 : 0) }),
    };
  }
  return undefined;
}

function positionText({ file, line, column }: Position): string {
  return `${file}:${line}${column === undefined ? "" : `:${column}`}`;
}

/** The line itself, marked at the column. */
function excerpt({ file, line, column }: Position): string {
  let source: string | undefined;
  try {
    source = readFileSync(file, "utf8").split("\n")[line - 1];
  } catch {
    return ""; // the excerpt is an extra: the position was told
  }
  if (source === undefined) return "";
  const margin = `  ${line} | `;
  const mark = column === undefined ? "" : `\n${" ".repeat(margin.length + column - 1)}^`;
  return `\n${margin}${source.replaceAll("\t", " ")}${mark}`;
}

function hintFor(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || !("code" in thrown)) return undefined;
  if (thrown.code !== "MODULE_NOT_FOUND" && thrown.code !== "ERR_MODULE_NOT_FOUND") return undefined;
  return /'tenure(?:\/[^']*)?'/.test(thrown.message)
    ? "Hint: the app's project does not have the package. Install it there: npm install tenure (or the tarball)."
    : undefined;
}
