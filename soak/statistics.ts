/** Points of one group, such as one life of a process: groups have levels of their own. */
export type Points = readonly { readonly x: number; readonly y: number }[];

export interface Slope {
  readonly perX: number;
  /** Two standard errors: what lies within is noise. */
  readonly uncertainty: number;
}

/**
 * The slope that all groups have in common, by least squares, each group with a level of its own. Neighbours in time
 * resemble each other and so tell less than as many independent points would: the uncertainty allows for it.
 */
export function commonSlope(groups: readonly Points[]): Slope {
  const centred = groups.filter((points) => points.length > 2).map(centre);
  const points = centred.flat();
  const spread = sum(points.map(({ x }) => x * x));
  const perX = sum(points.map(({ x, y }) => x * y)) / spread;
  const residuals = centred.map((group) => group.map(({ x, y }) => y - perX * x));
  const squares = sum(residuals.flat().map((r) => r * r));
  const neighbours = sum(residuals.map((group) => sum(group.slice(1).map((r, i) => r * (group[i] ?? 0)))));
  const likeness = Math.min(Math.max(neighbours / squares, 0), 0.95);
  const independent = (points.length * (1 - likeness)) / (1 + likeness) - centred.length - 1;
  const variance = squares / points.length;
  const scale = points.length / Math.max(independent, 1);
  return { perX, uncertainty: 2 * Math.sqrt((variance * scale) / spread) };
}

function centre(points: Points): Points {
  const x0 = mean(points.map(({ x }) => x));
  const y0 = mean(points.map(({ y }) => y));
  return points.map(({ x, y }) => ({ x: x - x0, y: y - y0 }));
}

/** The last two thirds: by then whatever warms up has. */
export function warm<T>(list: readonly T[]): readonly T[] {
  return list.slice(Math.floor(list.length / 3));
}

/** The value that this share of all lie at or below; undefined where there are none. */
export function quantile(values: readonly number[], share: number): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function mean(values: readonly number[]): number {
  return sum(values) / values.length;
}
