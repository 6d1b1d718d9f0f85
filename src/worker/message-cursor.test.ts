import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Reach, TrailingCursor } from "./message-cursor.js";

const LATE_MS = 15_000;
const SHARDS = [1, 2];

interface Row {
  readonly n: number;
  readonly shard: number;
  /** From when on it can be read: its number was drawn before, by up to the time that a transaction may take. */
  readonly fromMs: number;
}

/** Reads as a mailbox does. */
function read(
  cursor: TrailingCursor,
  rows: readonly Row[],
  nowMs: number,
  reach: Reach,
  shards = SHARDS,
): number[] {
  cursor.begin(nowMs, shards, reach);
  const from = { sweep: 0, low: cursor.low, near: cursor.near }[reach];
  const taken = rows
    .filter(({ n, shard, fromMs }) => n > from && fromMs <= nowMs && shards.includes(shard))
    .toSorted((one, other) => one.n - other.n)
    .filter((row) => cursor.take(row))
    .map(({ n }) => n);
  cursor.end(nowMs);
  return taken;
}

describe("a cursor over messages whose numbers do not rise in the order of commits", () => {
  test("takes in each message once, however late it appears, and however near the rounds begin", () => {
    const row = fc.record({
      drawnMs: fc.integer({ min: 0, max: 60_000 }),
      lateMs: fc.integer({ min: 0, max: LATE_MS - 1 }),
      shard: fc.constantFrom(...SHARDS),
      consumed: fc.boolean(),
    });
    const rests = fc.array(fc.integer({ min: 1, max: 4000 }), { minLength: 30, maxLength: 60 });
    fc.assert(
      fc.property(fc.array(row, { maxLength: 60 }), rests, (drawn, restsMs) => {
        const cursor = new TrailingCursor(LATE_MS);
        let rows: (Row & { readonly consumed: boolean })[] = drawn
          .toSorted((one, other) => one.drawnMs - other.drawnMs)
          .map(({ drawnMs, lateMs, ...rest }, index) => ({
            ...rest,
            n: index + 1,
            fromMs: drawnMs + lateMs,
          }));
        const taken: number[] = [];
        let [nowMs, lowMs, sweptMs] = [0, 0, 0];
        const round = (): void => {
          const reach: Reach = nowMs - sweptMs >= 30_000 ? "sweep" : nowMs - lowMs >= 1000 ? "low" : "near";
          if (reach !== "near") lowMs = nowMs;
          if (reach === "sweep") sweptMs = nowMs;
          const news = read(cursor, rows, nowMs, reach);
          taken.push(...news);
          rows = rows.filter(({ n, consumed }) => !(consumed && news.includes(n)));
        };
        for (const restMs of restsMs) {
          nowMs += restMs;
          round();
        }
        for (let rest = 0; rest < 90; rest++) {
          nowMs += 1000;
          round();
        }
        expect(taken.toSorted((one, other) => one - other)).toEqual(drawn.map((_each, index) => index + 1));
      }),
      { numRuns: 500 },
    );
  });

  test("forgets what was consumed: it does not grow with what has passed", () => {
    const cursor = new TrailingCursor(LATE_MS);
    for (let second = 1; second <= 100; second++) {
      const rows = Array.from({ length: 10 }, (_each, index) => ({
        n: second * 10 + index,
        shard: 1,
        fromMs: second * 1000,
      }));
      expect(read(cursor, rows, second * 1000, second % 30 === 0 ? "sweep" : "low")).toHaveLength(10);
    }
    expect(cursor.size).toBeLessThan(400);
  });

  test("takes in anew what is in a shard that was given up and came back", () => {
    const cursor = new TrailingCursor(LATE_MS);
    const rows = [
      { n: 1, shard: 1, fromMs: 0 },
      { n: 2, shard: 2, fromMs: 0 },
    ];
    expect(read(cursor, rows, 1000, "low")).toEqual([1, 2]);
    cursor.forget(new Set([2]));
    expect(read(cursor, rows, 2000, "sweep")).toEqual([2]);
  });
});
