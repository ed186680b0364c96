import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts", "src/**/*.test.ts", "tools/**/*.test.ts"],
    exclude: ["**/node_modules/**", "build/**", "src/core/**"],
    // Guests boot in tests: one machine may take most of a core for a minute.
    testTimeout: 60_000,
    hookTimeout: 300_000,
    pool: "forks",
    maxWorkers: 2,
  },
});
