import { testMemory } from "./memtest.ts";

// A slice of what the slow suite (npm run test:guests) runs to the end of a pass.
await testMemory("starts its first test", /#0 [\s\S]*Pass: +0 +Errors: 0/, 180_000);
