import { expect, test } from "vitest";
import { RunBudget } from "./run-budget.ts";

test("deterministic: up to the next deadline, at least one instruction, at most 100,000", () => {
  const budget = new RunBudget(true);
  expect(budget.next(1000, 1500)).toBe(500);
  expect(budget.next(1000, 900)).toBe(1);
  expect(budget.next(1000, undefined)).toBe(100_000);
});

test("real time: shrinks while runs take long and grows while they are short", () => {
  const budget = new RunBudget(false);
  expect(budget.next(0, undefined)).toBe(50_000);
  budget.ran(50_000, 2_000_000);
  expect(budget.next(0, undefined)).toBe(25_000);
  budget.ran(25_000, 2_000_000);
  expect(budget.next(0, undefined)).toBe(20_000);
  budget.ran(20_000, 10_000);
  expect(budget.next(0, undefined)).toBe(40_000);
});

test("a timer before the end of the run cuts it short", () => {
  const budget = new RunBudget(true);
  budget.next(1000, 1500);
  expect(budget.isCutShortBy(1499)).toBe(true);
  expect(budget.isCutShortBy(1500)).toBe(false);
});
