import Table from "cli-table3";
import { isTerminal, styleFor } from "./style.js";
import { printable } from "./terminal-text.js";

/** On a terminal, a cell of a list shows at most this much; elsewhere all of it, for grep. */
const MAX_CELL = 60;

/** The narrowest and the default width of a terminal. */
const MIN_WIDTH = 60;
const DEFAULT_WIDTH = 100;

const BARE = {
  top: "",
  "top-mid": "",
  "top-left": "",
  "top-right": "",
  bottom: "",
  "bottom-mid": "",
  "bottom-left": "",
  "bottom-right": "",
  left: "",
  "left-mid": "",
  mid: "",
  "mid-mid": "",
  right: "",
  "right-mid": "",
  middle: "  ",
} as const;

/** Rows of data under a head: with borders on a terminal, else aligned by spaces. */
export function listTable(
  stream: NodeJS.WritableStream,
  head: readonly string[],
  rows: readonly string[][],
): string {
  if (!isTerminal(stream)) return bare([head.map((title) => title.toUpperCase()), ...rows]);
  const { bold } = styleFor(stream);
  const table = new Table({
    head: head.map((title) => bold(title)),
    style: { head: [], border: [], compact: true },
  });
  table.push(...rows.map((row) => row.map((cell) => printable(clip(cell)))));
  return table.toString();
}

/** The members of one thing, one a line. */
export function recordTable(
  stream: NodeJS.WritableStream,
  members: readonly (readonly [name: string, value: string])[],
): string {
  if (!isTerminal(stream)) return bare(members.map(([name, value]) => [name, value]));
  const names = Math.max(...members.map(([name]) => name.length)) + 2;
  const values = Math.max(stream.columns > 0 ? stream.columns : DEFAULT_WIDTH, MIN_WIDTH) - names - 3;
  const longest = Math.max(...members.map(([, value]) => value.length)) + 2;
  const table = new Table({
    style: { head: [], border: [], compact: true },
    colWidths: [names, Math.min(values, longest)],
    // Cuts anywhere, which would cut colours: there are none in here.
    wordWrap: true,
    wrapOnWordBoundary: false,
  });
  table.push(...members.map(([name, value]) => [name, printable(value)]));
  return table.toString();
}

function bare(rows: readonly (readonly string[])[]): string {
  const table = new Table({
    chars: BARE,
    style: { head: [], border: [], "padding-left": 0, "padding-right": 0 },
  });
  table.push(...rows.map((row) => row.map((cell) => printable(cell))));
  return table.toString().split("\n").map(withoutTrailingSpaces).join("\n");
}

/** A pattern for them would be tried anew at each space of a long row. */
function withoutTrailingSpaces(line: string): string {
  let end = line.length;
  while (line[end - 1] === " ") end -= 1;
  return line.slice(0, end);
}

/** Cut at a character, not within one. */
function clip(cell: string): string {
  if (cell.length <= MAX_CELL) return cell;
  return `${cell.slice(0, MAX_CELL - 1).replace(/[\ud800-\udbff]$/, "")}…`;
}
