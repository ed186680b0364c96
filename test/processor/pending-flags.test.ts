import { describe, expect, test } from "vitest";
import { nasmAvailable } from "./assemble.ts";
import { Guest } from "./guest.ts";

/** 2 > 1, but for OF, which ADOX sets behind the comparison: SF differs from it. */
const COMPARE_THEN_ADOX = "mov eax, 2\nmov ecx, -1\nmov edx, 1\nmov ebx, 1\ncmp eax, ebx\nadox ecx, edx\n";

describe.skipIf(!nasmAvailable).each(["interpreter", "translator"] as const)("flags on %s", (engine) => {
  test.each([
    ["l", 1n],
    ["ge", 0n],
    ["le", 1n],
    ["g", 0n],
    ["o", 1n],
    ["e", 0n],
    ["a", 1n],
  ] as const)("CMP, ADOX, J%s: ADOX's OF takes the place of the comparison's", (condition, taken) => {
    const guest = new Guest(engine).restart();
    guest.program(`${COMPARE_THEN_ADOX}mov esi, 1\nj${condition} there\nmov esi, 0\nthere: hlt`);
    guest.run(1000);
    expect(guest.get("rsi")).toBe(taken);
  });
});
