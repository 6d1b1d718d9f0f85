import { defineConfig } from "vitest/config";

// The long ones, each bounded to minutes: processes, connections and servers that go while work is under way.
export default defineConfig({
  test: {
    environment: "node",
    // The plain one does not say why a test was left out.
    reporters: ["verbose"],
    include: ["test/chaos/*.chaos.ts"],
    pool: "forks",
    // One fault at a time: each has processes and a server of its own.
    maxWorkers: 1,
    fileParallelism: false,
    testTimeout: 600_000,
    hookTimeout: 60_000,
  },
});
