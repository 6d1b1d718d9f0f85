import { describe, test } from "vitest";
import { memoryForConformance } from "../../../sim/conformance-stores.js";
import { storeConformance } from "../conformance/index.js";

describe.each([
  { place: "with one engine", shared: false },
  { place: "whose engines share it by leases", shared: true },
])("the memory store $place", ({ shared }) => {
  storeConformance({ test, rounds: 10_000, open: memoryForConformance(shared) });
});
