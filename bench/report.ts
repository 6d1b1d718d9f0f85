import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { median } from "./measure.js";

/** Figures of one run of a scenario, by name. */
export type Figures = Record<string, number>;

/** What a figure should be. */
export interface Goal {
  readonly atLeast?: number | undefined;
  readonly atMost?: number | undefined;
}

interface Row {
  readonly what: string;
  readonly figure: string;
  readonly value: number;
  readonly unit: string;
  readonly goal: string;
  readonly reached: boolean | undefined;
}

/** A table of figures beside their goals, for people and as JSON. */
export class Report {
  readonly #heading: string;
  readonly #rows: Row[] = [];
  /** What else goes into the JSON: ceilings, single runs. */
  readonly extra: Record<string, unknown> = {};

  /** @param heading of the column of figures. */
  constructor(heading: string) {
    this.#heading = heading;
  }

  add(what: string, figure: string, value: number | undefined, unit: string, goal: Goal = {}): void {
    const measured = value ?? Number.NaN;
    const { atLeast, atMost } = goal;
    const text = atLeast !== undefined ? `≥ ${atLeast}` : atMost !== undefined ? `≤ ${atMost}` : "";
    const reached =
      atLeast !== undefined ? measured >= atLeast : atMost !== undefined ? measured <= atMost : undefined;
    this.#rows.push({ what, figure, value: measured, unit, goal: text, reached });
  }

  print(): void {
    const table = this.#rows.map(({ what, figure, value, unit, goal, reached }) => [
      what,
      figure,
      `${shown(value)}${unit === "" ? "" : ` ${unit}`}`,
      goal,
      reached === undefined ? "" : reached ? "reached" : "NOT reached",
    ]);
    const all = [["scenario", "figure", this.#heading, "goal", ""], ...table];
    const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...all.map((row) => (row[column] ?? "").length)));
    for (const row of all) {
      process.stdout.write(
        `${row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join("  ")
          .trimEnd()}\n`,
      );
    }
  }

  /** Writes `bench/results/NAME.json`. */
  save(name: string): void {
    const file = join(results, `${name}.json`);
    mkdirSync(dirname(file), { recursive: true });
    const machine = { cpu: cpus()[0]?.model, cores: cpus().length, node: process.version, load: loadavg() };
    writeFileSync(file, `${JSON.stringify({ machine, rows: this.#rows, ...this.extra }, null, 2)}\n`);
    process.stderr.write(`written to ${file}\n`);
  }
}

const results = fileURLToPath(new URL("../bench/results/", import.meta.url));

function shown(value: number): string {
  if (Number.isNaN(value)) return "-";
  return value >= 100 ? Math.round(value).toLocaleString("en") : value.toPrecision(3);
}

export function sayMachine(): void {
  process.stderr.write(
    `${cpus()[0]?.model ?? "?"}, ${cpus().length} cores, Node ${process.version}, load ${loadavg()[0]}\n`,
  );
}

export function ratio(a: number | undefined, b: number | undefined): number {
  return (a ?? Number.NaN) / (b ?? Number.NaN);
}

/** The median of each figure. */
export function medians(runs: readonly Figures[]): Figures {
  const names = Object.keys(runs[0] ?? {});
  return Object.fromEntries(names.map((name) => [name, median(runs.map((run) => run[name] ?? Number.NaN))]));
}

/** The figures that a child process printed as its last line. */
export function parseFigures(stdout: string): Figures {
  const line = stdout.trim().split("\n").at(-1) ?? "";
  const parsed: unknown = JSON.parse(line);
  if (typeof parsed !== "object" || parsed === null) throw new Error(`not figures: ${line}`);
  return Object.fromEntries(
    Object.entries(parsed).map(([key, value]) => [key, value === null ? Number.NaN : Number(value)]),
  );
}
