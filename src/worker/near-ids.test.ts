import { describe, expect, test } from "vitest";
import { shardOf } from "../core/shard.js";
import { NearIds } from "./near-ids.js";

/** Draws "id-0", "id-1" and so on, for a worker that owns these shards. */
function near({
  owns,
  load,
  othersLoad,
}: {
  readonly owns: (shard: number) => boolean;
  readonly load?: number;
  readonly othersLoad?: number;
}): NearIds {
  let drawn = 0;
  return new NearIds({
    env: { id: () => `id-${drawn++}` },
    owned: { shards: [], owns },
    underWay: () => load ?? 0,
    othersLoad: () => othersLoad,
  });
}

function shardsOf(ids: NearIds): Set<number> {
  return new Set(Array.from({ length: 200 }, () => shardOf(ids.next())));
}

const THIRD = (shard: number): boolean => shard % 3 === 0;

describe("IDs that nobody chose", () => {
  test.each([
    { load: 0, othersLoad: undefined },
    { load: 4, othersLoad: 0 },
    { load: 154, othersLoad: 100 },
  ])("lie in shards of this worker while it has $load under way, and the others $othersLoad", (loads) => {
    const { load, othersLoad } = loads;
    const shards = shardsOf(near({ owns: THIRD, load, ...(othersLoad === undefined ? {} : { othersLoad }) }));
    expect([...shards].every(THIRD)).toBe(true);
    expect(shards.size).toBeGreaterThan(30);
  });

  test.each([
    { load: 5, othersLoad: undefined },
    { load: 5, othersLoad: 0 },
    { load: 155, othersLoad: 100 },
  ])("lie in any shard once it has $load under way, and the others $othersLoad", (loads) => {
    const { load, othersLoad } = loads;
    const shards = shardsOf(near({ owns: THIRD, load, ...(othersLoad === undefined ? {} : { othersLoad }) }));
    expect([...shards].filter((shard) => !THIRD(shard)).length).toBeGreaterThan(30);
  });

  test("are drawn by a worker that begins many at once as if they were under way", () => {
    const ids = near({ owns: THIRD, load: 2, othersLoad: 100 });
    const draw = (): boolean => {
      ids.startBegins();
      return THIRD(shardOf(ids.next()));
    };
    const drawn = Array.from({ length: 500 }, draw);
    expect(drawn.slice(0, 152).every((isNear) => isNear)).toBe(true);
    expect(drawn.slice(152).filter((isNear) => isNear).length).toBeLessThan(200);
    for (let start = 0; start < 500; start++) ids.startEnds();
    expect(ids.load).toBe(2);
    expect(draw()).toBe(true);
  });

  test("are drawn by a worker that owns nothing, too, and none is given out twice", () => {
    const ids = near({ owns: () => false });
    const drawn = Array.from({ length: 50 }, () => ids.next());
    expect(new Set(drawn).size).toBe(50);
  });
});
