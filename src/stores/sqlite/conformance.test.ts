import { tmpdir } from "node:os";
import { describe, test, vi } from "vitest";
import { sqliteForConformance } from "../../../sim/conformance-stores.js";
import { storeConformance } from "../conformance/index.js";

/** Ten thousand rounds of a race take a while on a busy machine. */
vi.setConfig({ testTimeout: 900_000 });

describe.each([
  { place: "in a thread of its own", inline: false },
  { place: "inline", inline: true },
])("the SQLite store $place", ({ inline }) => {
  storeConformance({ test, rounds: 10_000, open: sqliteForConformance(tmpdir(), inline) });
});
