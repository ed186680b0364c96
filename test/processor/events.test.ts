import { describe, expect, test } from "vitest";
import { nasmAvailable } from "./assemble.ts";
import { freshGuest, HANDLERS, PROGRAM, runAlike, STACK, STACK_0, STACK_IST1, USER_CODE } from "./guest.ts";

/** The addresses at which single-step traps came, as offsets in the program. */
function traced(source: string, setUp: (g: ReturnType<typeof freshGuest>) => void = () => {}): number[] {
  const guest = runAlike((g) => {
    g.gate(1, 0x102000);
    g.code("push rbx\nmov rbx, [rsp + 8]\nmov [r8], rbx\nadd r8, 8\npop rbx\niretq", 0x102000);
    g.program(`mov r8d, 0x110000\npushfq\nor byte [rsp + 1], 1\npopfq\nstart:\n${source}\nhlt`);
    setUp(g);
  });
  const start = PROGRAM + 13;
  const count = (Number(guest.get("r8")) - 0x110000) / 8;
  return Array.from(
    { length: count },
    (_, i) => Number(guest.view.getBigUint64(0x110000 + 8 * i, true)) - start,
  );
}

describe.skipIf(!nasmAvailable)("single steps", () => {
  test("a trap comes behind every instruction, and the first behind the one after POPF", () => {
    expect(traced("nop\ninc eax\nnop\nand byte [rsp], 0\npushfq\nand byte [rsp+1], 0xfe\npopfq")).toEqual([
      1, 3, 4, 8, 9, 14, 15,
    ]);
  });

  test("jumps, calls and returns, near and through registers, one step each", () => {
    const offsets = traced(
      "jmp a\nnop\na: lea rcx, [b]\ncall rcx\njmp c\nb: ret\nc: jmp d\nalign 16\nd: pushfq\nand byte [rsp+1], 0xfe\npopfq",
    );
    // lea rcx, [abs b] has 8 bytes.
    expect(offsets.slice(0, 6)).toEqual([3, 11, 15, 13, 16, 19]);
    expect(offsets.length).toBe(9);
  });

  test("a loop that has run before at full speed is stepped one instruction at a time", () => {
    const source = "mov ecx, 2\nl: dec ecx\njnz l\nmov rdx, f\ncall rdx\ncall rdx";
    const guest = runAlike((g) => {
      g.gate(1, 0x102000);
      g.code("inc r10\niretq", 0x102000);
      g.program(
        `call body\npushfq\nor byte [rsp + 1], 1\npopfq\ncall body\npushfq\nand byte [rsp+1], 0xfe\npopfq\nhlt\nbody: ${source}\nret\nf: ret`,
      );
    });
    // call, mov, (dec, jnz) * 2, mov, (call, ret) * 2, ret, pushfq, and, popfq
    expect(guest.get("r10")).toBe(15n);
  });

  test("REP MOVSB traps behind every iteration, with RIP at the instruction until it is done", () => {
    expect(
      traced(
        "mov esi, 0x120000\nmov edi, 0x121000\nmov ecx, 3\nrep movsb\npushfq\nand byte [rsp+1], 0xfe\npopfq",
      ),
    ).toEqual([5, 10, 15, 15, 15, 17, 18, 23, 24]);
  });

  test("a load of SS holds the trap back by one instruction, STI does not", () => {
    expect(
      traced("mov eax, ss\nmov ss, eax\nnop\nsti\nnop\ncli\npushfq\nand byte [rsp+1], 0xfe\npopfq"),
    ).toEqual([2, 5, 6, 7, 8, 9, 14, 15]);
  });

  test("INT n clears TF and takes no trap; its handler runs at full speed", () => {
    expect(
      traced("int 0x40\nnop\npushfq\nand byte [rsp+1], 0xfe\npopfq", (g) => {
        g.gate(0x40, 0x103000);
        g.code("nop\nnop\niretq", 0x103000);
      }),
    ).toEqual([3, 4, 9, 10]);
  });

  test("a fault takes the place of the trap", () => {
    expect(
      traced("ud2\nnop\npushfq\nand byte [rsp+1], 0xfe\npopfq", (g) => {
        g.gate(6, 0x103000);
        g.code("add qword [rsp], 2\niretq", 0x103000);
      }),
    ).toEqual([3, 4, 9, 10]);
  });

  test("HLT under TF ends at once with the trap", () => {
    const guest = runAlike((g) => g.program("pushfq\nor byte [rsp + 1], 1\npopfq\nhlt\nnop"));
    expect(guest.delivered()).toMatchObject({ vector: 1, rip: BigInt(PROGRAM + 8) });
  });

  test("an instruction on two pages whose second page is absent faults under TF as without", () => {
    const guest = runAlike((g) => {
      g.map(0x102000, 0, 0n);
      g.code("mov eax, 0x44332211", 0x101ffe);
      g.program("mov ebx, 0x101ffe\npushfq\nor byte [rsp + 1], 1\npopfq\njmp rbx");
      g.gate(1, 0x103000);
      g.code("iretq", 0x103000);
    });
    expect(guest.delivered()).toMatchObject({ vector: 14, errorCode: 0x10n, rip: 0x101ffen });
    expect(guest.get("cr2")).toBe(0x102000n);
    expect(guest.get("rax")).toBe(0n);
  });

  test("DR6.BS is set, and the saved RFLAGS hold TF", () => {
    const guest = runAlike((g) => g.program("pushfq\nor byte [rsp + 1], 1\npopfq\nnop\nnop"));
    expect(guest.delivered()).toMatchObject({ vector: 1, rip: BigInt(PROGRAM + 8) });
    expect(guest.delivered().rflags & 0x100n).toBe(0x100n);
    expect(guest.get("dr6") & 0x4000n).toBe(0x4000n);
    expect(guest.get("rflags") & 0x100n).toBe(0n);
  });

  test("SYSCALL whose mask clears TF takes no trap", () => {
    const guest = runAlike((g) => {
      g.parts.state.set64(0x2a0, 0x0020_0008_0000_0000n);
      g.parts.state.set64(0x2a8, 0x103000n);
      g.parts.state.set64(0x2b0 + 8, 0x100n);
      g.code("mov r12d, 1\nhlt", 0x103000);
      g.program("pushfq\nor byte [rsp + 1], 1\npopfq\nsyscall\nhlt");
    });
    expect(guest.get("rip")).toBe(0x103007n);
    expect(guest.get("r12")).toBe(1n);
  });

  test("IRET that sets TF traps behind the instruction it returns to", () => {
    const guest = runAlike((g) => {
      g.gate(1, 0x102000);
      g.code("pop rax\nhlt", 0x102000);
      g.program(
        "mov rax, rsp\npush 0x10\npush rax\npushfq\nor byte [rsp + 1], 1\npush 8\nmov eax, target\npush rax\niretq\nnop\ntarget: nop\nnop\nnop\nhlt",
      );
    });
    const target = guest.ram.indexOf(0x90, PROGRAM) + 1;
    expect(guest.get("rax")).toBe(BigInt(target + 1));
  });
});

describe.skipIf(!nasmAvailable)("interrupts", () => {
  test("STI lets one more instruction through before a waiting interrupt, CLI next to it notwithstanding", () => {
    const guest = freshGuest().program("sti\nnop\ncli\nhlt");
    guest.interrupt(0x50);
    expect(guest.run()).toBe("halt");
    expect(guest.delivered()).toMatchObject({ vector: 0x50, rip: BigInt(PROGRAM + 2) });
  });

  test("STI; CLI lets nothing in", () => {
    const guest = freshGuest().program("sti\ncli\nnop\nhlt");
    guest.interrupt(0x50);
    expect(guest.run()).toBe("halt");
    expect(guest.get("rip")).toBe(BigInt(PROGRAM + 4));
  });

  test("STI; HLT wakes at once, with RIP behind HLT", () => {
    const guest = freshGuest().program("sti\nhlt\nnop");
    guest.interrupt(0x51);
    guest.run();
    expect(guest.delivered()).toMatchObject({ vector: 0x51, rip: BigInt(PROGRAM + 2) });
  });

  test("a load of SS holds an interrupt off until the next instruction has set RSP", () => {
    const guest = freshGuest().program("mov eax, ss\nsti\nmov ss, eax\nmov esp, 0x70000\nnop\nhlt");
    guest.interrupt(0x52);
    guest.run();
    expect(guest.delivered()).toMatchObject({ vector: 0x52, rip: BigInt(PROGRAM + 10), rsp: 0x70000n });
  });

  test("POPF and IRET that set IF let a waiting interrupt in at once", () => {
    const popf = freshGuest().program("push 0x202\npopfq\ncli\nhlt");
    popf.interrupt(0x53);
    popf.run();
    expect(popf.delivered()).toMatchObject({ vector: 0x53, rip: BigInt(PROGRAM + 6) });
    const iret = freshGuest().program(
      "mov rax, rsp\npush 0x10\npush rax\npush 0x202\npush 8\npush target\niretq\nnop\ntarget: cli\nhlt",
    );
    iret.interrupt(0x54);
    iret.run();
    expect(iret.delivered()).toMatchObject({ vector: 0x54, rip: BigInt(iret.ram.indexOf(0xfa, PROGRAM)) });
  });

  test("with IF clear, HLT stays halted whatever waits", () => {
    const guest = freshGuest().program("cli\nhlt\nnop");
    guest.interrupt(0x55);
    expect(guest.run()).toBe("halt");
    expect(guest.parts.processor.run(1000)).toBe("halt");
    expect(guest.get("rip")).toBe(BigInt(PROGRAM + 2));
  });

  test("an interrupt in a halted processor is taken when it becomes pending between runs", () => {
    const guest = freshGuest().program("sti\nhlt\nnop");
    expect(guest.run()).toBe("halt");
    guest.interrupt(0x56);
    expect(guest.run()).toBe("halt");
    expect(guest.delivered()).toMatchObject({ vector: 0x56, rip: BigInt(PROGRAM + 2) });
  });

  test("a port write that raises an interrupt ends the run before the budget", () => {
    const guest = freshGuest().program(
      "sti\nnop\nmov al, 1\nout 0x80, al\njmp next\nnext: mov ecx, 1000000\nl: dec ecx\njnz l\nhlt",
    );
    guest.onPort = () => guest.interrupt(0x57);
    guest.run(1_000_000);
    expect(guest.delivered().vector).toBe(0x57);
    expect(guest.parts.processor.instructions).toBeLessThan(20);
  });

  test("a storm of interrupts whose handler only returns still lets the program on", () => {
    const guest = freshGuest();
    guest.gate(0x58, 0x102000);
    guest.code("iretq", 0x102000);
    guest.program("sti\nmov ecx, 50\nl: dec ecx\njnz l\ncli\nhlt");
    for (let i = 0; i < 5000; i++) guest.interrupts.push(0x58);
    guest.interrupt(0x58);
    let slices = 0;
    while (guest.parts.processor.run(1000) === "budget" && slices < 20_000) slices++;
    expect(slices).toBeLessThan(20_000);
    expect(guest.get("rcx")).toBe(0n);
  });

  test("a storm of interrupts that can only fault ends in a triple fault", () => {
    const guest = freshGuest().program("sti\nl: jmp l");
    guest.set("idtr.limit", 0n);
    guest.interrupt(0x58);
    expect(guest.run()).toBe("shutdown");
  });
});

describe.skipIf(!nasmAvailable)("delivery", () => {
  test("IST switches the stack, even at CPL 0", () => {
    const guest = runAlike((g) => {
      g.gate(6, HANDLERS + 96, { ist: 1 });
      g.program("ud2");
    });
    expect(guest.delivered()).toMatchObject({
      vector: 6,
      rip: BigInt(PROGRAM),
      rsp: BigInt(STACK),
      ss: 0x10n,
    });
    expect(guest.get("rsp")).toBe(BigInt(STACK_IST1 - 40));
  });

  test("a fault at CPL 3 goes to the stack of the TSS", () => {
    const guest = runAlike((g) => {
      g.program("ud2");
      g.enter(USER_CODE);
    });
    expect(guest.delivered()).toMatchObject({ vector: 6, cs: 0x33n, ss: 0x2bn, rsp: BigInt(STACK) });
    expect(guest.get("rsp")).toBe(BigInt(STACK_0 - 40));
    expect(guest.get("cpl")).toBe(0n);
  });

  test("INT n is held to the gate's privilege, a fault is not", () => {
    const denied = runAlike((g) => {
      g.gate(0x80, HANDLERS + 16 * 0x80, { dpl: 0 });
      g.program("int 0x80");
      g.enter(USER_CODE);
    });
    expect(denied.delivered()).toMatchObject({
      vector: 13,
      errorCode: BigInt(0x80 * 8 + 2),
      rip: BigInt(PROGRAM),
    });
    const allowed = runAlike((g) => {
      g.program("int 0x80");
      g.enter(USER_CODE);
    });
    expect(allowed.delivered()).toMatchObject({ vector: 0x80, rip: BigInt(PROGRAM + 2) });
    const fault = runAlike((g) => {
      g.gate(6, HANDLERS + 96, { dpl: 0 });
      g.program("ud2");
      g.enter(USER_CODE);
    });
    expect(fault.delivered().vector).toBe(6);
  });

  test("a #PF at a handler is a fault of its own; a #NP while #PF is delivered becomes #DF", () => {
    const pf = runAlike((g) => {
      g.gate(13, 0x300000);
      g.map(0x300000, 0, 0n);
      g.program("mov ax, 0xfff8\nmov ds, ax");
    });
    // The handler of #GP is entered, and its first fetch faults.
    expect(pf.delivered()).toMatchObject({ vector: 14, errorCode: 0x10n, rip: 0x300000n });
    const df = runAlike((g) => {
      g.gate(14, HANDLERS, { present: false });
      g.map(0x180000, 0, 0n);
      g.program("mov eax, [0x180000]");
    });
    expect(df.delivered()).toMatchObject({ vector: 8, errorCode: 0n });
    expect(df.get("cr2")).toBe(0x180000n);
  });

  test("a #UD whose gate is absent becomes #NP, which no double fault is", () => {
    const guest = runAlike((g) => {
      g.gate(6, HANDLERS, { present: false });
      g.program("ud2");
    });
    expect(guest.delivered()).toMatchObject({ vector: 11, errorCode: BigInt(6 * 8 + 2 + 1) });
  });

  test("faults in a row without an IDT are a triple fault", () => {
    const guest = runAlike((g) => {
      g.set("idtr.limit", 0n);
      g.program("ud2");
    });
    expect(guest.summary()["rip"]).toBe(`0x${PROGRAM.toString(16)}`);
    expect(guest.run()).toBe("shutdown");
  });

  test("a page fault while the frame is pushed ends in #DF on its own stack, and nothing was pushed", () => {
    const guest = runAlike((g) => {
      g.gate(8, HANDLERS + 16 * 8, { ist: 1 });
      g.map(0x17f000, 0, 0n);
      g.program("mov rsp, 0x180010\nmov eax, [0x17f000]");
    });
    expect(guest.delivered()).toMatchObject({ vector: 8, rsp: 0x180010n });
    expect(guest.get("cr2") & ~0xfffn).toBe(0x17f000n);
    expect(guest.ram.subarray(0x180000, 0x180010).every((byte) => byte === 0)).toBe(true);
  });

  test("SYSCALL and SYSRET go round", () => {
    const guest = runAlike((g) => {
      g.parts.state.set64(0x2a0, 0x0020_0008_0000_0000n);
      g.parts.state.set64(0x2a8, 0x103000n);
      g.parts.state.set64(0x2b8, 0x200n);
      g.code("mov r12, rcx\nmov r13, r11\npushfq\npop r14\no64 sysret", 0x103000);
      g.program("syscall\nmov r15d, cs\nhlt");
      g.enter(USER_CODE);
      g.set("rflags", 0x202n);
    });
    expect(guest.delivered()).toMatchObject({ vector: 13, cs: 0x33n, ss: 0x2bn });
    expect(guest.get("r12")).toBe(BigInt(PROGRAM + 2));
    expect(guest.get("r13") & 0x200n).toBe(0x200n);
    expect(guest.get("r14") & 0x200n).toBe(0n);
    expect(guest.get("r15")).toBe(0x33n);
    expect(guest.delivered().rflags & 0x200n).toBe(0x200n);
  });
});

describe.skipIf(!nasmAvailable)("refusals", () => {
  const faultOf = (source: string, user = false) => {
    const guest = runAlike((g) => {
      g.gate(12, HANDLERS + 16 * 12, { ist: 1 });
      g.program(source);
      if (user) g.enter(USER_CODE);
    });
    const { vector, errorCode, rip } = guest.delivered();
    return { vector, errorCode, at: Number(rip) - PROGRAM };
  };

  test.each([
    "hlt",
    "cli",
    "sti",
    "lgdt [rax]",
    "lidt [rax]",
    "lldt ax",
    "ltr ax",
    "lmsw ax",
    "clts",
    "invd",
    "wbinvd",
    "invlpg [rax]",
    "mov cr0, rax",
    "mov rax, cr0",
    "mov cr3, rax",
    "mov rax, cr4",
    "mov rax, cr8",
    "mov dr7, rax",
    "mov rax, dr0",
    "rdmsr",
    "wrmsr",
    "swapgs",
    "o64 sysret",
    "in al, dx",
    "out dx, al",
    "insb",
    "rep outsb",
    "xsetbv",
  ])("%s is #GP(0) at CPL 3", (source) => {
    const expected = source === "xsetbv" || source === "o64 sysret" ? [6, 13] : [13];
    const { vector, at } = faultOf(source, true);
    expect(expected).toContain(vector);
    expect(at).toBe(0);
  });

  test("fifteen bytes are an instruction, sixteen are #GP(0)", () => {
    expect(runAlike((g) => g.program(`${"db 0x66\n".repeat(14)}nop\nhlt`)).get("rip")).toBe(
      BigInt(PROGRAM + 16),
    );
    expect(faultOf(`${"db 0x66\n".repeat(15)}nop\nhlt`)).toEqual({ vector: 13, errorCode: 0n, at: 0 });
    expect(faultOf(`times 4096 db 0x66`)).toEqual({ vector: 13, errorCode: 0n, at: 0 });
  });

  test.each([
    ["mov rax, 0x800000000000\nmov ebx, [rax]", 13],
    ["mov rax, 0x800000000000\nmov [rax], ebx", 13],
    ["mov rax, 0x800000000000\nadd [rax], ebx", 13],
    ["mov rbp, 0x800000000000\nmov ebx, [rbp]", 12],
    ["mov rsp, 0x800000000000\npop rax", 12],
    ["mov rsp, 0x900000000000\npush rax", 12],
    ["mov rsp, 0x900000000000\ncall $ + 5", 12],
    ["mov rsp, 0x900000000000\nret", 12],
    ["mov rax, 0x7ffffffffffc\nmov rbx, [rax]", 13],
  ])("%s: a non-canonical address is vector %i", (source, vector) => {
    expect(faultOf(source)).toMatchObject({ vector, at: 10 });
  });

  test("an access that runs from the last canonical page into the hole is #GP, and #SS on the stack", () => {
    // Both pages must be asked for: map the last canonical page.
    const guest = runAlike((g) => {
      g.view.setBigUint64(0x1000 + 255 * 8, 0x2007n, true);
      g.view.setBigUint64(0x2000 + 511 * 8, 0x3007n, true);
      g.view.setBigUint64(0x3000 + 511 * 8, 0x4007n, true);
      g.program("mov rax, 0x7ffffffffffc\nmov [rax], rbx");
    });
    expect(guest.delivered()).toMatchObject({ vector: 13, errorCode: 0n });
    expect(guest.ram.subarray(511 * 4096 + 0xffc, 512 * 4096).every((b) => b === 0)).toBe(true);
  });

  test("a jump, a call and a return to a non-canonical address are #GP(0) of the jump itself", () => {
    expect(faultOf("mov rax, 0x800000000000\njmp rax")).toEqual({ vector: 13, errorCode: 0n, at: 10 });
    expect(faultOf("mov rax, 0x800000000000\ncall rax")).toEqual({ vector: 13, errorCode: 0n, at: 10 });
    expect(faultOf("mov rax, 0x800000000000\npush rax\nret")).toEqual({ vector: 13, errorCode: 0n, at: 11 });
  });

  test.each([
    "db 0xf0\nnop",
    "db 0xf0\nmov [rax], eax",
    "db 0xf0\nadd eax, ebx",
    "db 0xf0\nadd eax, [rbx]",
    "db 0xf0\ncmp [rax], eax",
    "db 0xf0\nbt [rax], eax",
    "db 0xf0\npush rax",
    "db 0xf0\nrep movsb",
    "db 0xf0\nimul eax, [rbx]",
  ])("%s: LOCK where it may not stand is #UD", (source) => {
    expect(faultOf(source)).toEqual({ vector: 6, errorCode: undefined, at: 0 });
  });

  test("DIV by zero and overflow leave everything as it was", () => {
    const guest = runAlike((g) => g.program("mov eax, 5\nmov edx, 6\nxor ecx, ecx\ndiv ecx"));
    expect(guest.delivered()).toMatchObject({ vector: 0, rip: BigInt(PROGRAM + 12) });
    expect([guest.get("rax"), guest.get("rdx")]).toEqual([5n, 6n]);
  });
});
