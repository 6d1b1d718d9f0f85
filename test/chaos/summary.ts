// The table of faults: a line each, whatever was done to whom.
import { writeSync } from "node:fs";

/** A line of the table. */
export interface Summary {
  readonly fault: string;
  /** Jobs that were acknowledged. */
  readonly runs: number;
  readonly injected: number;
  /** Turns that the store refused to commit; undefined where nobody counted them. */
  readonly refused: number | undefined;
  /** Activities that ran once more than their result needed. */
  readonly again: number;
  readonly lost: number;
  readonly doubled: number;
  /** See silence.ts; undefined where nobody measured it. */
  readonly recoverMs: number | undefined;
  readonly seconds: number;
  /** What callers were told before they asked again. */
  readonly errors: string;
}

const UNKNOWN = "–";

const COLUMNS: readonly (readonly [head: string, width: number, cell: (summary: Summary) => string])[] = [
  ["fault", 34, ({ fault }) => fault],
  ["runs", 7, ({ runs }) => String(runs)],
  ["injected", 9, ({ injected }) => String(injected)],
  ["refused", 8, ({ refused }) => String(refused ?? UNKNOWN)],
  ["again", 6, ({ again }) => String(again)],
  ["lost", 5, ({ lost }) => String(lost)],
  ["doubled", 8, ({ doubled }) => String(doubled)],
  ["recover s", 10, ({ recoverMs }) => (recoverMs === undefined ? UNKNOWN : (recoverMs / 1000).toFixed(1))],
  ["took s", 7, ({ seconds }) => seconds.toFixed(0)],
  ["callers were told", 0, ({ errors }) => errors],
];

/** Prints its line, past the test runner, which would head each line with the test's name. */
export function printSummary(summary: Summary): void {
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => (column === 0 ? cell.padEnd(34) : cell.padStart(COLUMNS[column]?.[1] ?? 0)))
      .join("  ");
  writeSync(
    1,
    `${line(COLUMNS.map(([head]) => head))}\n${line(COLUMNS.map(([, , cell]) => cell(summary)))}\n`,
  );
}
