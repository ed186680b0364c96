import { describe, expect, test } from "vitest";
import { nasmAvailable } from "./assemble.ts";
import { Guest, PROGRAM } from "./guest.ts";

const ENGINES = ["interpreter", "translator"] as const;
const CR4_SMAP = 1n << 21n;
/** PTE of the program's page, whose code and data SMAP is to leave alone. */
const SUPERVISOR = 3n;

/** Every block is translated before it runs, or none is. */
function ran(engine: (typeof ENGINES)[number], program: string, prepare: (guest: Guest) => void = () => {}) {
  const guest = new Guest(engine).restart();
  prepare(guest);
  guest.program(program);
  guest.run(1000);
  return guest;
}

describe.skipIf(!nasmAvailable).each(ENGINES)("system instructions on %s", (engine) => {
  test("REP STOSB fills what follows it in its own loop", () => {
    const guest = ran(
      engine,
      "xor edx, edx\nmov edi, target\nmov ecx, 4\nmov al, 0x90\nrep stosb\ntarget: mov bl, 9\ninc edx\nhlt",
    );
    expect([guest.get("rbx") & 0xffn, guest.get("rdx") & 1n]).toEqual([0n, 0n]);
  });

  test("REP MOVSB copies new code over a block further on", () => {
    const guest = ran(
      engine,
      `xor eax, eax
       mov edx, 2
     again:
       mov esi, new
       mov edi, target
       mov ecx, 2
       rep movsb
       test eax, eax
       jnz behind
     target: inc eax
     behind: dec edx
       jnz again
       hlt
     new: dec eax`,
    );
    expect(guest.get("rax")).toBe(0xffff_ffffn);
  });

  test("string instructions leave registers and flags as they are left one by one", () => {
    const guest = ran(
      engine,
      `mov esi, text
       mov edi, text + 8
       mov ecx, 8
       xor eax, eax
       repe cmpsb
       setz al
       mov ebx, ecx
       mov esi, text
       lodsq
       mov rdx, rax
       hlt
       align 8
     text: db "abcdefgh", "abcdeXgh"`,
    );
    expect([guest.get("rbx"), guest.get("rdx")]).toEqual([2n, 0x6867_6665_6463_6261n]);
  });

  test("PUSHF, CLI, STI and POPF pass flags on", () => {
    const guest = ran(
      engine,
      "cli\nstc\npushf\npop rax\nsti\nnop\npushf\npop rbx\npush rax\npopf\npushf\npop rcx\nhlt",
    );
    const [IF, CF] = [1n << 9n, 1n];
    expect([
      guest.get("rax") & (IF | CF),
      guest.get("rbx") & (IF | CF),
      guest.get("rcx") & (IF | CF),
    ]).toEqual([CF, IF | CF, CF]);
  });

  test("SWAPGS changes which memory GS reads", () => {
    const guest = ran(
      engine,
      `mov ecx, 0xc0000102
       mov eax, numbers
       xor edx, edx
       wrmsr
       mov ecx, 0xc0000101
       mov eax, numbers + 8
       wrmsr
       jmp go
     go: mov rbx, [gs:0]
       swapgs
       mov rcx, [gs:0]
       hlt
       align 8
     numbers: dq 7, 8`,
    );
    expect([guest.get("rbx"), guest.get("rcx")]).toEqual([8n, 7n]);
  });

  test("user pages can be read behind STAC, and not behind a function that executes CLAC", () => {
    const guest = ran(
      engine,
      `mov rax, cr4
       or eax, ${CR4_SMAP}
       mov cr4, rax
       call close
       stac
       mov eax, go
       jmp rax
     go: mov rbx, [0x200000]
       mov rbx, [0x200000]
       call close
       mov rcx, [0x200000]
       hlt
     close: jmp last
     last: clac
       ret`,
      (g) => {
        // What the processor and the program need is the supervisor's alone.
        for (const page of [0x8000, 0x9000, 0xa000, 0x11000, 0x7f000, 0x80000, PROGRAM])
          g.map(page, page, SUPERVISOR);
        g.view.setBigUint64(0x200000, 5n, true);
      },
    );
    expect(guest.get("rbx")).toBe(5n);
    expect(guest.delivered()?.vector).toBe(14);
  });

  test("flags that a stepped instruction sets are those that the next one sees", () => {
    // OR clears CF; CMPSD of 1 and 2 sets it.
    const guest = ran(
      engine,
      `mov esi, small
       mov edi, large
       mov ecx, 1
       mov edx, 7
       xor ebx, ebx
       or eax, 0x400
       repnz cmpsd
       cmovb ebx, edx
       hlt
     small: dd 1
     large: dd 2`,
    );
    expect(guest.get("rbx")).toBe(7n);
  });
});
