import { describe, expect, test } from "vitest";
import { nasmAvailable } from "./assemble.ts";
import { ALL, PROGRAM, runAlike } from "./guest.ts";

describe.skipIf(!nasmAvailable)("self-modifying code", () => {
  test("a store to the next instruction is executed as stored", () => {
    const guest = runAlike((g) => g.program("mov byte [next + 1], 7\nnext: mov al, 1\nhlt"));
    expect(guest.get("rax") & 0xffn).toBe(7n);
    expect(guest.parts.processor.instructions).toBe(3);
  });

  test("a store to the second of two instructions that are executed as one", () => {
    // CMP+JCC, TEST+JCC, PUSH+PUSH and load+op are the engine's candidates for fusion.
    const guest = runAlike((g) =>
      g.program(`
        xor eax, eax
        mov ecx, 2
      again:
        push rax
        push rcx
      patch: inc eax
        pop rdx
        pop rdx
        mov word [patch], 0xc889   ; mov eax, ecx
        dec ecx
        test ecx, ecx
        jnz again
        hlt`),
    );
    // The first pass increments; the second loads ECX, which is 1.
    expect(guest.get("rax")).toBe(1n);
  });

  test("PUSH writes over the PUSH behind it", () => {
    const guest = runAlike((g) => {
      g.program(
        "mov rsp, next + 8\nmov rax, 0xf4c3ff48f4c3ff48\nmov rbx, rsp\njmp go\nalign 8\ngo: push rax\nnext: push rcx\npush rcx\nnop\nnop\nnop\nnop\nnop\nnop\nhlt",
      );
    });
    // inc rbx = 48 ff c3; hlt = f4
    expect(guest.get("rbx") - guest.get("rsp")).toBe(9n);
  });

  test("the flags of a comparison survive a rewritten conditional jump", () => {
    const guest = runAlike((g) =>
      g.program(
        "xor eax, eax\nmov ecx, 2\nagain: mov byte [jump], 0x75\ncmp ecx, ecx\njump: jz taken\nmov al, 1\nhlt\ntaken: mov al, 2\nhlt",
      ),
    );
    expect(guest.get("rax")).toBe(1n);
  });

  test("REP STOSB fills what follows it", () => {
    const guest = runAlike((g) =>
      g.program(
        "xor edx, edx\nmov edi, target\nmov ecx, 4\nmov al, 0x90\nrep stosb\ntarget: mov bl, 9\ninc edx\nhlt",
      ),
    );
    expect([guest.get("rbx"), guest.get("rdx") & 1n]).toEqual([0n, 0n]);
  });

  test("REP MOVSB copies new code over the running loop", () => {
    const guest = runAlike((g) =>
      g.program(`
        mov ebx, 3
      top:
        inc eax
        mov esi, new
        mov edi, top
        mov ecx, 2
        rep movsb
        dec ebx
        jnz top
        hlt
      new: dec eax`),
    );
    expect(guest.get("rax")).toBe(0xffff_ffffn);
  });

  test("a string store that overwrites itself finishes, and the new bytes run afterwards", () => {
    // 16 bytes from REP STOSB on become NOP, in one instruction.
    const guest = runAlike((g) =>
      g.program("mov edi, here\nmov ecx, 4\nmov al, 0x90\nhere: rep stosb\nnop\nnop\nhlt"),
    );
    expect(guest.get("rcx")).toBe(0n);
    expect([...guest.ram.subarray(PROGRAM + 12, PROGRAM + 16)]).toEqual([0x90, 0x90, 0x90, 0x90]);
  });

  test("a store through another mapping of the same page", () => {
    const guest = runAlike((g) => {
      g.map(0x200000, PROGRAM);
      g.program(
        "mov ecx, 2\nagain: mov byte [patch + 1 + 0x100000], cl\npatch: mov al, 0\ndec ecx\njnz again\nhlt",
      );
    });
    expect(guest.get("rax") & 0xffn).toBe(1n);
  });

  test("code run through one mapping is stale in the other too", () => {
    const guest = runAlike((g) => {
      g.map(0x200000, 0x101000);
      g.code("mov al, 1\nret", 0x101000);
      g.program(`
        mov ebx, 0x200000
        call rbx
        mov cl, al
        mov ebx, 0x101000
        call rbx
        mov byte [0x101001], 5
        call rbx
        mov ch, al
        mov ebx, 0x200000
        call rbx
        hlt`);
    });
    expect(guest.get("rcx")).toBe(0x0501n);
    expect(guest.get("rax")).toBe(5n);
  });

  test("a jump that another block is linked to sees the new target", () => {
    const guest = runAlike((g) =>
      g.program(`
        mov ecx, 4
      again:
        jmp body
        nop
      body:
        add eax, 1
        cmp ecx, 3
        jne skip
        mov byte [body + 2], 10
      skip:
        dec ecx
        jnz again
        hlt`),
    );
    expect(guest.get("rax")).toBe(22n);
  });

  test("an instruction on two pages changes with its second page", () => {
    const guest = runAlike((g) => {
      // mov eax, imm32 with the opcode and one byte of the immediate on the first page.
      g.code("mov eax, 0x44332211\nret", 0x101ffe);
      g.program(`
        mov ebx, 0x101ffe
        call rbx
        mov r8d, eax
        mov byte [0x102000], 0xaa
        call rbx
        mov r9d, eax
        mov byte [0x101fff], 0xbb
        call rbx
        mov byte [0x102002], 0xcc
        call rbx
        hlt`);
    });
    expect(guest.get("r8")).toBe(0x44332211n);
    expect(guest.get("r9")).toBe(0x4433aa11n);
    expect(guest.get("rax")).toBe(0xcc33aabbn);
  });

  test("an instruction on two pages goes on where the second page is mapped now", () => {
    const guest = runAlike((g) => {
      g.code("mov eax, 0x44332211\nret", 0x101ffe);
      g.ram.set([0x99, 0x88, 0x77, 0xc3], 0x103000);
      g.program(`
        mov ebx, 0x101ffe
        call rbx
        mov r8d, eax
        mov dword [0x4000 + 0x102 * 8], 0x103007
        invlpg [0x102000]
        call rbx
        mov r9d, eax
        mov dword [0x4000 + 0x102 * 8], 0x102007
        invlpg [0x102000]
        call rbx
        hlt`);
    });
    expect(guest.get("r8")).toBe(0x44332211n);
    expect(guest.get("r9")).toBe(0x77889911n);
    expect(guest.get("rax")).toBe(0x44332211n);
  });

  test("two first pages that share a second page both notice its change", () => {
    const guest = runAlike((g) => {
      // Linear 0x201ffe is another first page before the same second page.
      g.map(0x201000, 0x104000);
      g.map(0x202000, 0x102000);
      g.code("mov eax, 0x44332211\nret", 0x101ffe);
      g.ram.set([0xb8, 0x10], 0x104ffe);
      g.program(`
        mov ebx, 0x101ffe
        mov esi, 0x201ffe
        call rbx
        call rsi
        mov byte [0x102000], 0xaa
        call rbx
        mov r8d, eax
        call rsi
        mov r9d, eax
        hlt`);
    });
    expect(guest.get("r8")).toBe(0x4433aa11n);
    expect(guest.get("r9")).toBe(0x4433aa10n);
  });

  test("stores beside code on the same page leave it alone", () => {
    const guest = runAlike((g) =>
      g.program(
        "mov ecx, 100\nagain: mov [data], ecx\nadd eax, [data]\ndec ecx\njnz again\nhlt\nalign 64\ndata: dd 0",
      ),
    );
    expect(guest.get("rax")).toBe(5050n);
  });

  test("the processor's own writes of accessed flags count as writes to code", () => {
    const guest = runAlike((g) => {
      // The page table entry for 0x300000 is also executed: 07 00 30 00 ... with bit 5 set by the walk.
      g.map(0x300000, 0x300000, 0x7n);
      g.program("mov eax, [0x300000]\nmov al, [0x4000 + 0x300 * 8]\nhlt");
    });
    expect(guest.get("rax") & 0xffn).toBe(0x27n);
    expect(ALL).toBe(7n);
  });

  test("CALL pushes over the code behind it", () => {
    const guest = runAlike((g) =>
      g.program(
        "mov rsp, behind + 8\njmp go\nalign 16\ngo: call there\nbehind: times 8 nop\nhlt\nthere: mov rax, [behind]\nmov ecx, behind - 1\nhlt",
      ),
    );
    expect(guest.get("rax")).toBe(BigInt(PROGRAM) + 0x15n);
  });

  test("an interrupt frame is pushed over code that has run", () => {
    const guest = runAlike((g) => {
      g.gate(0x40, 0x102000);
      g.code("mov rbx, [0x101fc8]\nhlt", 0x102000);
      g.code("times 32 inc eax\nret", 0x101f80);
      g.program("mov ecx, 0x101f80\nmov rsp, 0x80000\ncall rcx\nmov rsp, 0x101fff\nint 0x40\nhlt");
    });
    expect(guest.get("rbx")).toBe(BigInt(PROGRAM) + 0x13n);
  });

  test("code that is rewritten with other operands, and then with another instruction", () => {
    // Six times mov eax, imm32; add rax, imm8; ret. The last time SUB takes the place of ADD.
    const guest = runAlike((g) => {
      g.code("mov eax, 0x11111111\nadd rax, 0x22\nret", 0x110000);
      g.program(`
        mov ecx, 6
        mov ebx, 0x110000
        xor esi, esi
      again:
        imul eax, ecx, 0x10001000
        mov [rbx + 1], eax
        mov byte [rbx + 8], -3
        cmp ecx, 1
        jne call
        mov byte [rbx + 7], 0xe8   ; 48 83 e8: sub rax
      call:
        call rbx
        add rsi, rax
        dec ecx
        jnz again
        hlt`);
    });
    let sum = 0n;
    for (let n = 6n; n > 0n; n--) sum += ((n * 0x10001000n) & 0xffffffffn) + (n === 1n ? 3n : -3n);
    expect(guest.get("rsi")).toBe(sum);
  });

  test("operands of 1, 2, 4 and 8 bytes are taken anew with their signs", () => {
    const guest = runAlike((g) => {
      g.code("mov rax, 0x1122334455667788\nadd rax, 0x11223344\nadd ax, 0x1122\nadd al, 1\nret", 0x110000);
      g.program(`
        mov ecx, 4
        mov ebx, 0x110000
      again:
        mov rdx, 0xfedcba9876543210
        mov [rbx + 2], rdx
        mov dword [rbx + 12], 0x80000000
        mov word [rbx + 18], 0x8001
        mov byte [rbx + 21], 0x90
        call rbx
        dec ecx
        jnz again
        hlt`);
    });
    let rax = 0xfedc_ba98_7654_3210n + 0xffff_ffff_8000_0000n;
    rax = (rax & ~0xffffn) | ((rax + 0x8001n) & 0xffffn);
    rax = (rax & ~0xffn) | ((rax + 0x90n) & 0xffn);
    expect(guest.get("rax")).toBe(BigInt.asUintN(64, rax));
  });

  test("a jump in rewritten code still leads to its target", () => {
    const guest = runAlike((g) => {
      g.code("mov al, 0\ncmp al, 5\nje five\nmov edx, 1\nret\nfive: mov edx, 2\nret", 0x110000);
      g.program(`
        mov ecx, 8
        mov ebx, 0x110000
        xor esi, esi
      again:
        mov [rbx + 1], cl
        call rbx
        shl esi, 2
        or esi, edx
        dec ecx
        jnz again
        hlt`);
    });
    // 8, 7, 6, 5, 4, 3, 2, 1
    expect(guest.get("rsi")).toBe(0b01_01_01_10_01_01_01_01n);
  });

  test.each([
    ["stosq", ""],
    ["movsq", "mov esi, 0x202000\n"],
  ])("REP %s over a page with code counts as many instructions as over any other", (name, source) => {
    const executed = [0x200000, 0x201000].map((target) => {
      const guest = runAlike((g) => {
        g.code("ret", 0x200ff0);
        g.program(
          `mov rax, 0x200ff0\ncall rax\n${source}mov edi, ${target}\nxor eax, eax\nmov ecx, 512\nrep ${name}\nhlt`,
        );
      });
      expect(guest.get("rcx")).toBe(0n);
      expect(guest.ram[0x200ff0]).toBe(target === 0x200000 ? 0 : 0xc3);
      return guest.parts.processor.instructions;
    });
    expect(executed[0]).toBe(executed[1]);
  });

  test("REP STOSB writes over an instruction that was decoded", () => {
    const guest = runAlike((g) => {
      g.code("mov al, 1\nret", 0x200000);
      g.program(
        "mov rbx, 0x200000\ncall rbx\nmov edi, 0x200001\nmov al, 7\nmov ecx, 1\nrep stosb\nmov al, 0\ncall rbx\nhlt",
      );
    });
    expect(guest.get("rax") & 0xffn).toBe(7n);
  });

  test("an instruction takes the place of shorter ones and goes on in the next page", () => {
    const guest = runAlike((g) => {
      g.code("inc ebx\ninc ebx\nret", 0x102ffc);
      // mov eax, 0x22222222; ret
      g.program(
        "xor ebx, ebx\nmov ecx, 0x102ffc\ncall rcx\nmov dword [rcx], 0x222222b8\nmov word [rcx + 4], 0xc322\ncall rcx\nhlt",
      );
    });
    expect([guest.get("rbx"), guest.get("rax")]).toEqual([2n, 0x22222222n]);
  });

  test("a device writes over code that has run, across the end of a page", () => {
    const guest = runAlike((g) => {
      g.code("mov eax, 0x01010101\nret", 0x102ffd);
      g.program("mov ecx, 0x102ffd\ncall rcx\nmov ebx, eax\nout 0x10, al\ncall rcx\nhlt");
      g.onPort = () => {
        // mov eax, 0x07070707
        g.ram.set([7, 7, 7, 7], 0x102ffe);
        g.parts.processor.memoryWritten(0x102ffe, 4);
      };
    });
    expect([guest.get("rbx"), guest.get("rax")]).toEqual([0x01010101n, 0x07070707n]);
  });
});
