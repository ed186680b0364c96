import { testMemory } from "./memtest.ts";

await testMemory("makes a full pass without an error", /Pass: +1 +Errors: 0/, 3_600_000);
