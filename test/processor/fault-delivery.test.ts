import { describe, expect, test } from "vitest";
import type { EngineName } from "../../src/machine/create-processor.ts";
import { nasmAvailable } from "./assemble.ts";
import { Guest, PAGE_TABLE, PROGRAM, WRITABLE } from "./guest.ts";

// #DE and #PF are delivered without leaving the engine unless somebody asked to see faults. Nobody can tell but by time.

const ENGINES: readonly (readonly [EngineName, number | undefined])[] = [
  ["interpreter", undefined],
  ["auto", 4],
  ["translator", undefined],
];
const BUDGETS = [1, 7, 100_000];
const ABSENT = 0x180000;

/** A function that divides by 0 and writes to an absent page is called 40 times; handlers repair both. */
function faultingProgram(guest: Guest): void {
  guest.gate(0, 0x102000);
  guest.code("inc r10\nadd qword [rsp], 2\niretq", 0x102000);
  guest.gate(14, 0x103000);
  guest.code(
    `inc r11\nadd r12, [rsp]\nmov rbx, cr2\nadd r13, rbx\nmov eax, ${ABSENT | 3}\nmov [${PAGE_TABLE + (ABSENT >> 9)}], rax\nadd rsp, 8\niretq`,
    0x103000,
  );
  guest.map(ABSENT, 0, 0n);
  guest.program(
    `mov ebp, 40
    again: call body
    dec ebp
    jnz again
    hlt
    body: xor ecx, ecx
    xor edx, edx
    div ecx
    inc dword [${ABSENT} + 8]
    mov qword [${PAGE_TABLE + (ABSENT >> 9)}], 0
    invlpg [${ABSENT}]
    ret`,
  );
}

function ending(engine: EngineName, hotCount: number | undefined, watched: boolean, budget: number) {
  const guest = new Guest(engine, { hotCount }).restart();
  let seen = 0;
  let runs = 0;
  const { engine: interpreter, processor } = guest.parts;
  if (watched) processor.onFault = () => seen++;
  const execute = interpreter.execute.bind(interpreter);
  interpreter.execute = () => {
    runs++;
    return execute();
  };
  faultingProgram(guest);
  const outcome = guest.run(budget);
  return { summary: { ...guest.summary(), outcome }, seen, runs, guest };
}

describe.skipIf(!nasmAvailable)("faults that are delivered inside the engine", () => {
  test.each(ENGINES)("%s: end as those that are delivered outside, with every budget", (engine, hotCount) => {
    const expected = ending("interpreter", undefined, true, 1);
    expect(expected.seen).toBe(80);
    expect(expected.guest.get("r10")).toBe(40n);
    expect(expected.guest.get("r11")).toBe(40n);
    // Each error code says a write by the supervisor to an absent page.
    expect(expected.guest.get("r12")).toBe(40n * WRITABLE);
    expect(expected.guest.get("r13")).toBe(40n * BigInt(ABSENT + 8));
    for (const budget of BUDGETS) {
      for (const watched of [false, true]) {
        expect(ending(engine, hotCount, watched, budget).summary).toEqual(expected.summary);
      }
    }
  });

  test("they do not leave the engine, and those that somebody watches do", () => {
    expect(ending("interpreter", undefined, false, 100_000).runs).toBeLessThan(10);
    expect(ending("interpreter", undefined, true, 100_000).runs).toBeGreaterThanOrEqual(80);
  });

  test.each(ENGINES)(
    "%s: one that cannot be delivered is a double fault, and then a shutdown",
    (engine, hotCount) => {
      const guest = new Guest(engine, { hotCount }).restart();
      guest.gate(14, 0x102000, { present: false });
      guest.map(ABSENT, 0, 0n);
      guest.program(`mov [${ABSENT}], eax`);
      expect(guest.run()).toBe("halt");
      expect(guest.delivered()).toMatchObject({ vector: 8, errorCode: 0n, rip: BigInt(PROGRAM) });
      expect(guest.get("cr2")).toBe(BigInt(ABSENT));

      guest.restart();
      guest.map(ABSENT, 0, 0n);
      guest.program(`mov esp, ${ABSENT + 2048}\nxor ecx, ecx\ndiv ecx`);
      expect(guest.run()).toBe("shutdown");
    },
  );

  test("an interrupt that waits comes before the first instruction of a handler behind a trap gate", () => {
    const guest = new Guest("interpreter").restart();
    guest.gate(0, 0x102000, { type: 15 });
    guest.code("mov r10, r11\nhlt", 0x102000);
    guest.gate(0x40, 0x103000);
    guest.code("inc r11\niretq", 0x103000);
    guest.onPort = () => guest.interrupt(0x40);
    guest.program("xor ecx, ecx\nsti\nnop\nout 0x80, al\ndiv ecx\nhlt");
    guest.run();
    expect(guest.get("r11")).toBe(1n);
    expect(guest.get("r10")).toBe(1n);
  });
});
