import process from "node:process";
import { defineConfig } from "vitest/config";

const EXCLUDED = ["**/node_modules/**", "build/**", "src/core/**"];

export default defineConfig({
  test: {
    // Guests boot in tests: one machine may take most of a core for a minute.
    testTimeout: 60_000,
    hookTimeout: 300_000,
    pool: "forks",
    maxWorkers: 2,
    projects: [
      {
        extends: true,
        test: {
          name: "parts",
          include: ["test/**/*.test.ts", "src/**/*.test.ts", "tools/**/*.test.ts"],
          exclude: [...EXCLUDED, "test/guests/**", "test/browser/**"],
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: "guests",
          // Whole systems, after everything else and one file at a time. Slow ones: npm run test:guests.
          include: ["test/guests/**/*.test.ts"],
          exclude:
            process.env["RINGFENCE_SLOW_TESTS"] === "1" ? EXCLUDED : [...EXCLUDED, "**/*.slow.test.ts"],
          maxWorkers: 1,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: "browser",
          // The page in a Chromium, which takes both cores for itself.
          include: ["test/browser/**/*.test.ts"],
          exclude: EXCLUDED,
          maxWorkers: 1,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
