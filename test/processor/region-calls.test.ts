import { describe, expect, test } from "vitest";
import { nasmAvailable } from "./assemble.ts";
import { BUDGETS, Guest, USER_CODE } from "./guest.ts";

/** RAX, RBX and RCX after a program, whose blocks are all translated before they run, or none is; with each budget. */
function results(program: string, prepare: (guest: Guest) => void = () => {}): bigint[][] {
  return (["interpreter", "translator"] as const).flatMap((engine) => {
    const guest = new Guest(engine);
    return BUDGETS.map((budget) => {
      guest.restart();
      prepare(guest);
      guest.program(program);
      guest.run(budget);
      return ["rax", "rbx", "rcx"].map((name) => guest.get(name));
    });
  });
}

const all = (...values: bigint[]): bigint[][] => Array.from({ length: 2 * BUDGETS.length }, () => values);

/** RFLAGS of SF, ZF, AF, PF and CF. */
const STATUS = 0xd5n;

// HLT faults in a program; the handler halts.
const asProgram = (guest: Guest): void => guest.enter(USER_CODE);

describe.skipIf(!nasmAvailable)("calls of translated code", () => {
  test("a function's flags are there behind its call", () => {
    const program = `
        mov ecx, 9
        xor eax, eax
        xor ebx, ebx
      again: call odd
        adc eax, 0
        dec ecx
        jnz again
        hlt
      odd: mov edx, ecx
        inc ebx
        jz odd
        shr edx, 1
        ret`;
    expect(results(program)).toEqual(all(5n, 9n, 0n));
    expect(results(program, asProgram)).toEqual(all(5n, 9n, 0n));
  });

  test("a function that sets flags first is called with any, and returns to code that does", () => {
    const program = `
        mov edi, 12
        call fib
        hlt
      fib: cmp edi, 2
        jb small
        push rbx
        mov ebx, edi
        lea edi, [rbx-1]
        call fib
        push rax
        lea edi, [rbx-2]
        call fib
        pop rdx
        add eax, edx
        pop rbx
        ret
      small: mov eax, edi
        ret`;
    expect(results(program, asProgram)).toEqual(all(144n, 0n, 0n));
  });

  test("PUSHF in a function that calls itself sees what its caller left", () => {
    const program = `
        mov ecx, 3
        xor eax, eax
        xor ebx, ebx
      again: mov edx, 0x7fffffff
        add edx, ecx
        call count
        loop again
        hlt
      count: pushfq
        pop rdx
        and edx, ${STATUS}
        shl rbx, 8
        or rbx, rdx
        inc eax
        test eax, 1
        jz done
        sub ecx, 0
        call count
      done: ret`;
    const [first, ...others] = results(program, asProgram);
    expect(first![0]).toBe(6n);
    for (const other of others) expect(other).toEqual(first);
  });

  test("a function that does not return to its caller goes where its RET says", () => {
    const program = `
        mov ecx, 40
        xor eax, eax
        xor ebx, ebx
      again: call skips
        add eax, 1000
      behind: inc ebx
        dec ecx
        jnz again
        hlt
      skips: mov edx, ecx
        test edx, edx
        jz never
        and edx, 3
        jnz back
        mov qword [rsp], behind
      back: inc eax
        ret
      never: ret`;
    expect(results(program, asProgram)).toEqual(all(30_040n, 40n, 0n));
  });
});

describe.skipIf(!nasmAvailable)("vectors across the end of a page in translated code", () => {
  const move = `
      mov ecx, 50
    again: mov esi, 0x201000 - 3
      mov edi, 0x203000 - 7
      movups xmm1, [rsi]
      movups [rdi], xmm1
      movups [rsi], xmm1
      add qword [rsi], 1
      dec ecx
      jnz again
      mov rax, [rdi]
      mov rbx, [rdi + 8]
      hlt`;
  const fill = (guest: Guest): void => {
    for (let i = 0; i < 32; i++) guest.ram[0x200ff0 + i] = i;
  };

  test("are read and stored as a whole", () => {
    expect(results(move, fill)).toEqual(all(0x1413_1211_100f_0e3en, 0x1c1b_1a19_1817_1615n, 0n));
  });

  test("are not stored at all where the second page is not there", () => {
    const outcome = (["interpreter", "translator"] as const).map((engine) => {
      const guest = new Guest(engine).restart();
      fill(guest);
      guest.map(0x203000, 0, 0n);
      guest.program(move);
      guest.run(1000);
      return [guest.delivered().vector, guest.get("cr2"), guest.view.getBigUint64(0x202ff9, true)];
    });
    expect(outcome).toEqual([
      [14, 0x203000n, 0n],
      [14, 0x203000n, 0n],
    ]);
  });

  test("go to the pages that are mapped, wherever they lie", () => {
    const scattered = (guest: Guest): void => {
      guest.map(0x201000, 0x300000);
      guest.map(0x203000, 0x301000);
      for (let i = 0; i < 16; i++) [guest.ram[0x200ff0 + i], guest.ram[0x300000 + i]] = [i, 16 + i];
    };
    expect(results(move, scattered)).toEqual(all(0x1413_1211_100f_0e3en, 0x1c1b_1a19_1817_1615n, 0n));
  });
});
