import { describe, expect, test } from "vitest";
import { nasmAvailable } from "./assemble.ts";
import { BUDGETS, Guest } from "./guest.ts";

const NMI = 2;
const HANDLER = 0x102000;
const TURNS = 50_000;
/** Clears the overflow and lets fixed counter 0 overflow after 1,000 instructions. */
const ARM = `
mov ecx, 0x390
xor eax, eax
mov edx, 1
wrmsr
mov ecx, 0x309
mov eax, -1000
mov edx, 0xffff
wrmsr`;
/** Lets it count at every privilege level; `control` says whether it interrupts. */
const start = (control: number): string => `${ARM}
mov ecx, 0x38d
mov eax, ${control}
xor edx, edx
wrmsr
mov ecx, 0x38f
xor eax, eax
mov edx, 1
wrmsr`;

describe.skipIf(!nasmAvailable)("a performance counter that overflows", () => {
  describe.each(["interpreter", "translator"] as const)("on the %s", (engine) => {
    const guest = new Guest(engine);

    test.each(BUDGETS)(
      "interrupts each time its count is over, and the status says so (budget %i)",
      (budget) => {
        guest.restart();
        guest.gate(NMI, HANDLER);
        guest.code(
          `push rax\npush rcx\npush rdx\nmov ecx, 0x38e\nrdmsr\nor r9d, edx\n${ARM}\ninc r8\npop rdx\npop rcx\npop rax\niretq`,
          HANDLER,
        );
        guest.program(`xor r8d, r8d\nxor r9d, r9d\n${start(0xb)}\nmov ebx, ${TURNS}\nl: dec ebx\njnz l\nhlt`);
        expect(guest.run(budget, 1e6)).toBe("halt");
        // A turn has two instructions, and the handler executes a few with the counter armed again.
        expect(Number(guest.get("r8"))).toBeGreaterThanOrEqual(99);
        expect(Number(guest.get("r8"))).toBeLessThanOrEqual(101);
        expect(guest.get("r9")).toBe(1n);
        expect(guest.performanceInterrupts).toBe(Number(guest.get("r8")));
      },
    );

    test("is silent where it is not to interrupt", () => {
      guest.restart();
      guest.program(`${start(3)}\nmov ebx, ${TURNS}\nl: dec ebx\njnz l\nmov ecx, 0x38e\nrdmsr\nhlt`);
      guest.run();
      expect(guest.performanceInterrupts).toBe(0);
      expect(guest.get("rdx")).toBe(1n);
    });
  });

  test("the register that clears overflows has reserved bits", () => {
    const guest = new Guest();
    guest.restart();
    guest.program("mov ecx, 0x390\nmov eax, 4\nxor edx, edx\nwrmsr\nhlt");
    guest.run();
    expect(guest.delivered().vector).toBe(13);
  });
});
