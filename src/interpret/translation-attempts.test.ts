import { expect, test } from "vitest";
import { TranslationAttempts } from "./translation-attempts.ts";

/** How often `physical` becomes hot until it is translated, that time included. */
function hotTimes(attempts: TranslationAttempts, physical: number): number {
  for (let times = 1; ; times++) if (attempts.isDue(physical)) return times;
}

test("code is translated when it is hot for the first and the second time", () => {
  const attempts = new TranslationAttempts();
  expect(hotTimes(attempts, 0x1000)).toBe(1);
  expect(hotTimes(attempts, 0x1000)).toBe(1);
});

test("what is rewritten again and again has to become hot more and more often, up to 64 times", () => {
  const attempts = new TranslationAttempts();
  const times = Array.from({ length: 10 }, () => hotTimes(attempts, 0x1000));
  expect(times).toEqual([1, 1, 2, 4, 8, 16, 32, 64, 64, 64]);
});

test("places do not wait for each other", () => {
  const attempts = new TranslationAttempts();
  for (let i = 0; i < 5; i++) hotTimes(attempts, 0x1000);
  expect(hotTimes(attempts, 0x1001)).toBe(1);
});
