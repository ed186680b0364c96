import { describe, expect, test } from "vitest";
import { nasmAvailable } from "./assemble.ts";
import { Guest } from "./guest.ts";

// Two ways lead to a store, each with flags of its own kind, which nobody looks at but the handler of the store's page fault.
const INSTRUCTIONS = ["cmp", "sub", "add", "xadd", "test", "and", "or", "xor", "neg"] as const;
const REGISTERS = [
  ["al", "cl"],
  ["ax", "cx"],
  ["eax", "ecx"],
  ["rax", "rcx"],
] as const;
const OPERANDS = [
  [0n, 0n],
  [0x7fff_ffff_7fff_7f7fn, 1n],
  [0x8000_0000_8000_8080n, 0xffff_ffff_ffff_ff01n],
  [5n, 0x1_0001_0105n],
] as const;
const DATA = 0x120000;
/** No entry of the page tables leads there. */
const NOWHERE = 1n << 40n;
const TURNS = 4;
const PAGE_FAULT = 14;

const guests = new Map<string, Guest>();

const program = (instruction: string): string => `
  mov ebp, ${TURNS}
  again:
  mov rax, rsi
  mov rcx, rdi
  cmp ebp, 1
  cmove rbx, rdx
  test r9d, r9d
  jz other
  ${instruction}
  jmp there
  other: cmp rcx, rax
  there: mov [rbx], rax
  cmp rax, rcx
  dec ebp
  jnz again
  hlt`;

/** The flags that the fault's handler finds, and the operands' registers. */
function afterFault(engine: "interpreter" | "translator", instruction: string, way: bigint): bigint[][] {
  let guest = guests.get(engine);
  guest ??= new Guest(engine);
  guests.set(engine, guest);
  return OPERANDS.map(([rsi, rdi]) => {
    guest.restart().program(program(instruction));
    const registers = { rsi, rdi, rbx: BigInt(DATA), rdx: NOWHERE, r9: way };
    for (const [name, value] of Object.entries(registers)) guest.set(name, value);
    guest.run(1000);
    const { vector, rflags } = guest.delivered();
    expect([vector, guest.get("rbp")]).toEqual([PAGE_FAULT, 1n]);
    return [rflags, guest.get("rax"), guest.get("rcx")];
  });
}

describe.skipIf(!nasmAvailable)("flags of a region whose words are made where it is left", () => {
  for (const instruction of INSTRUCTIONS) {
    test.each(REGISTERS)(`${instruction} %s, %s: as interpreted, on both ways`, (first, second) => {
      const whole = instruction === "neg" ? `neg ${first}` : `${instruction} ${first}, ${second}`;
      for (const way of [1n, 0n])
        expect(afterFault("translator", whole, way)).toEqual(afterFault("interpreter", whole, way));
    });
  }
});
