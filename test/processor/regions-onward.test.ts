import { describe, expect, test } from "vitest";
import { nasmAvailable } from "./assemble.ts";
import { ALL, Guest, PAGE_TABLE, PROGRAM, STACK, USER_CODE, USER_DATA } from "./guest.ts";

// What a region goes on over without the interpreter: other privilege levels, misses of the TLB, instructions on two pages.
const ENGINES = ["interpreter", "translator"] as const;
const SUPERVISOR = 3n;
const CR4_SMAP = 1n << 21n;
const READ_ONLY = 5n;
const USER_CALLER = 0x200000;
const USER_FUNCTION = 0x201000;
const OTHER_CALLER = 0x204000;
const USER_STACK = 0x210000;
const MSR_STAR = "mov ecx, 0xc0000081\nxor eax, eax\nmov edx, 0x00200008\nwrmsr";
const msrLstar = (label: string) => `mov ecx, 0xc0000082\nmov eax, ${label}\nxor edx, edx\nwrmsr`;

describe.skipIf(!nasmAvailable).each(ENGINES)("what regions go on over, on %s", (engine) => {
  const start = (prepare: (guest: Guest) => void): Guest => {
    const guest = new Guest(engine).restart();
    prepare(guest);
    return guest;
  };
  const ran = (prepare: (guest: Guest) => void): Guest => {
    const guest = start(prepare);
    guest.run(1000);
    return guest;
  };

  test("a system call returns to the page that is there, not to the region that called the caller", () => {
    const caller = (mark: number) =>
      `again: call ${USER_FUNCTION}\nmov ebx, ${mark}\ndec ebp\njnz again\nhlt`;
    const guest = ran((g) => {
      g.code(caller(1), USER_CALLER).code(caller(2), USER_CALLER, OTHER_CALLER);
      g.code("syscall\nret", USER_FUNCTION);
      g.program(`
        ${MSR_STAR}
        ${msrLstar("entry")}
        mov ebp, 8
        mov esp, ${USER_STACK}
        mov ecx, ${USER_CALLER}
        mov r11d, 2
        o64 sysret
      entry:
        mov eax, ${USER_CALLER | Number(ALL)}
        mov edx, ${OTHER_CALLER | Number(ALL)}
        cmp ebp, 1
        cmove eax, edx
        mov [${PAGE_TABLE + (USER_CALLER >> 12) * 8}], rax
        invlpg [${USER_CALLER}]
        o64 sysret`);
    });
    expect(guest.delivered().vector).toBe(13);
    expect([guest.get("rbp"), guest.get("rbx")]).toEqual([0n, 2n]);
  });

  test("user code that returns to the supervisor's address faults there, whatever called it", () => {
    const guest = ran((g) => {
      g.map(PROGRAM, PROGRAM, SUPERVISOR);
      // Seven times by a system call, then by RET.
      g.code("dec ebp\njz last\nsyscall\nlast: push r14\nret", USER_FUNCTION);
      g.program(`
        ${MSR_STAR}
        ${msrLstar("entry")}
        mov ebp, 8
      again:
        stac
        call leave
      back: clac
        inc ebx
        jmp again
      leave:
        mov r15, rsp
        mov r14d, back
        push ${USER_DATA}
        push ${USER_STACK}
        push 2
        push ${USER_CODE}
        push ${USER_FUNCTION}
        iretq
      entry:
        mov rsp, r15
        ret`);
    });
    const { vector, errorCode, rip, cs } = guest.delivered();
    expect([vector, errorCode, cs, guest.get("rbx")]).toEqual([14, 0x15n, BigInt(USER_CODE), 7n]);
    expect(guest.get("cr2")).toBe(rip);
  });

  test("the supervisor that returns to a program's address is the supervisor there, whatever called it", () => {
    const guest = ran((g) => {
      g.set("cr4", g.get("cr4") | CR4_SMAP);
      // Tables, handlers and stacks, which SMAP is to leave alone, and the program.
      for (let page = 0; page <= PROGRAM; page += 4096) g.map(page, page, SUPERVISOR);
      g.code(`again: call ${USER_FUNCTION}\nmov rbx, [${USER_STACK}]\ninc esi\njmp again`, USER_CALLER);
      g.code("syscall\nret", USER_FUNCTION);
      // Seven times by SYSRET, then by RET, without AC: what programs may read is out of reach.
      g.program(`
        ${MSR_STAR}
        ${msrLstar("entry")}
        mov ebp, 8
        mov esp, ${USER_STACK}
        mov ecx, ${USER_CALLER}
        mov r11d, 2
        o64 sysret
      entry:
        dec ebp
        jz last
        o64 sysret
      last:
        stac
        mov rax, [rsp]
        clac
        mov esp, ${STACK}
        push rax
        ret`);
    });
    const { vector, errorCode, rip } = guest.delivered();
    expect([vector, errorCode, rip, guest.get("rsi")]).toEqual([14, 1n, BigInt(USER_CALLER + 5), 7n]);
    expect(guest.get("cr2")).toBe(BigInt(USER_STACK));
  });

  test("stores of a loop mark pages as written, up to one that is read-only", () => {
    const guest = ran((g) => {
      for (let page = 0; page < 8; page++) g.map(0x200000 + page * 4096, 0x300000 + page * 4096);
      g.map(0x206000, 0x306000, READ_ONLY);
      g.program("mov esi, 0x200000\nagain: mov eax, [rsi]\nmov [rsi + 8], esi\nadd esi, 4096\njmp again");
    });
    const { vector, errorCode } = guest.delivered();
    expect([vector, errorCode, guest.get("cr2"), guest.get("rsi")]).toEqual([14, 3n, 0x206008n, 0x206000n]);
    const marks = [0, 5, 6, 7].map(
      (page) => guest.view.getBigUint64(PAGE_TABLE + (0x200 + page) * 8, true) & 0x60n,
    );
    expect(marks).toEqual([0x60n, 0x60n, 0x20n, 0n]);
    expect(guest.view.getUint32(0x305008, true)).toBe(0x205000);
  });

  test("the second half of an instruction on two pages is the one that was written last", () => {
    // The opcode of ADD EAX, imm8 is the last byte of the page.
    const guest = ran((g) => {
      g.program(
        `mov ecx, 10
         times 4094 - ($ - $$) nop
       again: nop
         add eax, 1
         cmp ecx, 4
         jne on
         mov byte [again + 3], 100
       on: dec ecx
         jnz again
         hlt`,
      );
    });
    // Seven times 1, three times 100.
    expect(guest.get("rax")).toBe(307n);
  });
});

const PLACES: Record<string, { program: string; entry: number; budgets: readonly number[] }> = {
  "one that lies on two pages": {
    program: `
      mov ecx, 6
      times 4090 - ($ - $$) nop
    again: dec ecx
      jz out
      nop
      add eax, 0x12345
      inc edx
      jmp again
    out: hlt`,
    entry: 4070,
    budgets: Array.from({ length: 40 }, (_, i) => i + 1),
  },
  // A region holds 400 instructions: the code goes on in another, without a jump.
  "one at which a region is full": {
    program: "again: times 500 inc eax\ndec ecx\njnz again\nhlt",
    entry: 0,
    budgets: [1, 399, 400, 401, 499, 502, 503, 900, 1500],
  },
};

test.skipIf(!nasmAvailable).each(Object.keys(PLACES))(
  "budgets end at the same instructions around %s",
  (name) => {
    const { program, entry, budgets } = PLACES[name]!;
    const ends = ENGINES.map((engine) => {
      const guest = new Guest(engine);
      return budgets.map((budget) => {
        guest.restart().program(program);
        guest.set("rip", BigInt(PROGRAM + entry));
        guest.set("rcx", 6n);
        guest.run(budget, 1);
        guest.run(budget, 3);
        return [guest.get("rip"), guest.get("rax"), guest.parts.processor.instructions];
      });
    });
    expect(ends[1]).toEqual(ends[0]);
  },
);
