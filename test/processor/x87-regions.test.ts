import { describe, expect, test } from "vitest";
import {
  X87,
  X87_EMPTY,
  X87_FCW,
  X87_FDP,
  X87_FIP,
  X87_FOP,
  X87_FSW,
  X87_TOP,
} from "../../src/layout/cpu-state.ts";
import { CPU_STATE } from "../../src/layout/memory-map.ts";
import { nasmAvailable } from "./assemble.ts";
import { Guest } from "./guest.ts";

/** The unit's state after a program that an engine has run. */
function unitAfter(engine: "interpreter" | "translator", program: string, control: number) {
  const guest = new Guest(engine).restart();
  const view = new DataView(guest.memory.buffer, CPU_STATE);
  view.setInt32(X87_FCW, control, true);
  view.setInt32(X87_EMPTY, 0xff, true);
  guest.program(program);
  guest.run(1000);
  const registers = Array.from({ length: 8 }, (_, i) => {
    const at = X87 + 16 * i;
    return `${view.getUint16(at + 8, true).toString(16)}:${view.getBigUint64(at, true).toString(16)}`;
  });
  const words = [X87_FSW, X87_TOP, X87_EMPTY, X87_FOP].map((field) => view.getInt32(field, true));
  const pointers = [X87_FIP, X87_FDP].map((field) => view.getBigInt64(field, true));
  return { registers, words, pointers, rax: guest.get("rax"), rbx: guest.get("rbx"), rip: guest.get("rip") };
}

const PLAIN = 0x037f;
const CONTROLS = [PLAIN, 0x027f, 0x0f7f, 0x0360];

const PROGRAMS: Readonly<Record<string, string>> = {
  "a loop of sums, products, quotients and roots": `
      fld1
      fldz
      mov ecx, 50
    again: fld st1
      fmul st2, st0
      fadd dword [three]
      fsqrt
      fdivr qword [seven]
      fxch st1
      fadd st0, st1
      fsubr st1, st0
      fsubp st2, st0
      fstp st0
      fchs
      fabs
      fldz
      fld st1
      dec ecx
      jz done
      fcomi st1
      ja less
      fstp st0
      fstp st0
      fld1
      jmp again
    less: fstp st1
      fstp st1
      fld1
      jmp again
    done: hlt
    three: dd 3.1
    seven: dq 0.7`,
  "comparisons, with equal, denormal and infinite numbers too": `
      xor eax, eax
      xor ebx, ebx
      mov ecx, 6
    again: fld tword [numbers + rcx * 8]
      fld qword [numbers + rcx * 8 - 8]
      fcom st1
      fnstsw ax
      shl rbx, 8
      mov bl, ah
      fucomip st1
      lahf
      xor bl, ah
      fstp st0
      dec ecx
      jnz again
      hlt
      align 8
    numbers: dq 1.0, 2.5, -2.5, 1e-310, 0x3fff, 0x8000000000000000, 0x7fff, 0xc000000000003fff, 7`,
  "a stack that overflows and underflows": `
      mov ecx, 12
    again: fld1
      fadd st0, st0
      dec ecx
      jnz again
      mov ecx, 12
    back: faddp st1
      fstp st0
      dec ecx
      jnz back
      hlt`,
  "integers and conversions": `
      mov ecx, 20
      fldz
    again: mov [word_], ecx
      fild dword [word_]
      fild qword [long_]
      fmulp
      fild word [word_]
      faddp
      faddp
      neg qword [long_]
      dec ecx
      jnz again
      fst dword [word_]
      mov eax, [word_]
      hlt
      align 8
    long_: dq 0x123456789abcdef
    word_: dq 0`,
  "functions with values on the stack": `
      mov ecx, 30
      fld1
    again: call twice
      call third
      dec ecx
      jnz again
      hlt
    twice: test ecx, 1
      jz even
      fadd st0, st0
    even: fadd dword [tiny]
      ret
    third: fld dword [three]
      test ecx, ecx
      jz none
      fdivp
    none: ret
    tiny: dd 1.0e-3
    three: dd 3.0`,
};

describe.skipIf(!nasmAvailable)("x87 instructions in translated code", () => {
  for (const [name, program] of Object.entries(PROGRAMS))
    test.each(CONTROLS)(`${name}, control word %i`, (control) => {
      const expected = unitAfter("interpreter", program, control);
      expect(unitAfter("translator", program, control)).toEqual(expected);
    });

  test("an unmasked exception is raised at the next instruction", () => {
    const program = "fld1\nfldz\nfdivp\nfld1\nhlt";
    expect(unitAfter("translator", program, 0x037b)).toEqual(unitAfter("interpreter", program, 0x037b));
  });
});
