// Instructions whose results the real processor cannot be asked for (test/oracle/exclusions.ts), by the manual.
import { describe, expect, test } from "vitest";
import { SEG_FS, SEGMENT_BASE } from "../../src/layout/cpu-state.ts";
import { nasmAvailable } from "./assemble.ts";
import { freshGuest, IDT, KERNEL_DATA, PROGRAM, runAlike, STACK } from "./guest.ts";

const GENERAL_PROTECTION = 13;
const UNDEFINED = 6;
const OPERAND = 0x110000;
const CARRY = 1n;

describe.skipIf(!nasmAvailable)("far pointers", () => {
  test.each([
    ["lss rsp, [rdi]", "ss", "rsp"],
    ["lfs rbx, [rdi]", "fs", "rbx"],
    ["lgs rbx, [rdi]", "gs", "rbx"],
  ])("%s loads a selector behind an offset of 8 bytes", (source, segment, register) => {
    const guest = runAlike((g) => {
      g.view.setBigUint64(OPERAND, 0x0000_0000_0007_8000n, true);
      g.view.setUint16(OPERAND + 8, KERNEL_DATA, true);
      g.program(`mov edi, ${OPERAND}\n${source}\nhlt`);
    });
    expect(guest.get(register)).toBe(0x78000n);
    expect(guest.get(segment)).toBe(BigInt(KERNEL_DATA));
  });

  test.each([
    ["lds ebx, [edi]", "ds"],
    ["les ebx, [edi]", "es"],
  ])("%s in 16-bit code loads a selector behind an offset of 4 bytes", (source, segment) => {
    const guest = runAlike((g) => {
      g.view.setUint32(0x7000, 0x1234_5678, true);
      g.view.setUint16(0x7004, 0x0700, true);
      g.set("cr0", 0x10n);
      g.set("efer", 0n);
      for (const name of ["cs", "ss", "ds", "es"] as const)
        g.parts.processor.registers.setSegment(name, {
          selector: 0,
          base: 0n,
          limit: 0xffff,
          attributes: name === "cs" ? 0x9b : 0x93,
        });
      g.set("rsp", 0x6000n);
      g.set("idtr.base", 0n);
      g.program(`mov edi, 0x7000\n${source}\nhlt`, 0x5000, 16);
    });
    expect(guest.get("rbx")).toBe(0x1234_5678n);
    expect(guest.get(segment)).toBe(0x700n);
  });

  test("a selector beyond the GDT is #GP with the selector, and the register keeps its value", () => {
    const guest = runAlike((g) => {
      g.view.setBigUint64(OPERAND, 1n, true);
      g.view.setUint16(OPERAND + 8, 0x58, true);
      g.program(`mov edi, ${OPERAND}\nmov ebx, 5\nlfs rbx, [rdi]\nhlt`);
    });
    expect(guest.delivered()).toMatchObject({ vector: GENERAL_PROTECTION, errorCode: 0x58n });
    expect(guest.get("rbx")).toBe(5n);
  });
});

describe.skipIf(!nasmAvailable)("segment bases", () => {
  test("WRFSBASE and WRGSBASE write all 64 bits or, of 32-bit operands, 32, and addresses follow", () => {
    const guest = runAlike((g) => {
      g.set("cr4", g.get("cr4") | (1n << 16n));
      g.view.setBigUint64(OPERAND + 8, 77n, true);
      g.program(
        `mov rax, 0xffffffff00000000 + ${OPERAND}\nwrfsbase eax\nrdfsbase rbx\nmov rcx, [fs:8]\nmov rax, -8\nwrgsbase rax\nrdgsbase rdx\nmov rsi, [gs:${OPERAND + 16}]\nhlt`,
      );
    });
    expect(guest.get("rbx")).toBe(BigInt(OPERAND));
    expect(guest.get("rcx")).toBe(77n);
    expect(guest.get("rdx")).toBe(0xffff_ffff_ffff_fff8n);
    expect(guest.get("rsi")).toBe(77n);
  });

  test("an address that is not canonical is #GP, and the base stays", () => {
    const guest = runAlike((g) => {
      g.set("cr4", g.get("cr4") | (1n << 16n));
      g.program("mov rax, 0x800000000000\nwrfsbase rax\nhlt");
    });
    expect(guest.delivered()).toMatchObject({ vector: GENERAL_PROTECTION, errorCode: 0n });
    expect(guest.state32(SEG_FS + SEGMENT_BASE)).toBe(0);
  });

  test.each(["rdfsbase rax", "rdgsbase rax", "wrfsbase rax", "wrgsbase rax"])(
    "%s is #UD without CR4.FSGSBASE",
    (source) => {
      const guest = runAlike((g) => {
        g.set("cr4", g.get("cr4") & ~(1n << 16n));
        g.program(`${source}\nhlt`);
      });
      expect(guest.delivered()).toMatchObject({ vector: UNDEFINED, rip: BigInt(PROGRAM) });
    },
  );
});

describe.skipIf(!nasmAvailable)("what tells of the processor", () => {
  test("SIDT stores the limit and all 8 bytes of the base", () => {
    const guest = runAlike((g) => g.program(`sidt [${OPERAND}]\nhlt`));
    expect(guest.view.getUint16(OPERAND, true)).toBe(0xfff);
    expect(guest.view.getBigUint64(OPERAND + 2, true)).toBe(BigInt(IDT));
  });

  test("RDPID gives IA32_TSC_AUX, as RDTSCP does in ECX", () => {
    const guest = runAlike((g) =>
      g.program(
        "mov ecx, 0xc0000103\nmov eax, 0x1234\nxor edx, edx\nwrmsr\nrdpid rbx\nrdtscp\nmov esi, ecx\nhlt",
      ),
    );
    expect(guest.get("rbx")).toBe(0x1234n);
    expect(guest.get("rsi")).toBe(0x1234n);
  });

  test("RDSEED and RDRAND set CF and clear the other status flags", () => {
    const guest = runAlike((g) =>
      g.program(
        "mov eax, -1\nadd eax, 1\nrdseed rbx\npushfq\npop rsi\nmov eax, -1\nadd eax, 1\nrdrand ecx\npushfq\npop rdi\nhlt",
      ),
    );
    for (const name of ["rsi", "rdi"]) expect(guest.get(name) & 0x8d5n).toBe(CARRY);
  });

  test("CPUID clears the upper halves of its registers, and names the vendor and the highest leaf", () => {
    const guest = runAlike((g) =>
      g.program("mov rbx, -1\nmov rdx, -1\nmov rcx, -1\nxor eax, eax\ncpuid\nhlt"),
    );
    const text = ["rbx", "rdx", "rcx"].map((name) => guest.get(name).toString(16).padStart(8, "0"));
    expect(text.map((word) => Buffer.from(word, "hex").reverse().toString()).join("")).toBe("GenuineIntel");
    expect(guest.get("rax")).toBeGreaterThanOrEqual(0xdn);
  });
});

describe.skipIf(!nasmAvailable)("XSAVEC", () => {
  const AVX_STATE = 4n;
  /** Loads something into x87, XMM1 and YMM1's upper half, and runs `source` on an area of ones. */
  const saved = (source: string) =>
    runAlike((g) => {
      g.set("cr4", g.get("cr4") | (1n << 18n) | (1n << 9n));
      g.ram.fill(0xff, OPERAND, OPERAND + 1024);
      // What XSAVEC does not write of the header, and XRSTOR wants to be 0.
      g.ram.fill(0, OPERAND + 528, OPERAND + 576);
      g.view.setBigUint64(0x111000, 0x1122_3344_5566_7788n, true);
      g.program(
        `xor ecx, ecx\nmov eax, 7\nxor edx, edx\nxsetbv\nfninit\nvbroadcastsd ymm1, [0x111000]\nmov edi, ${OPERAND}\n${source}\nhlt`,
      );
    });

  test("packs the components that are asked for, and leaves out what is in its initial state", () => {
    const guest = saved("mov eax, 6\nxor edx, edx\nxsavec [rdi]");
    const header = (offset: number) => guest.view.getBigUint64(OPERAND + 512 + offset, true);
    expect(header(0)).toBe(6n);
    expect(header(8)).toBe((1n << 63n) | 6n);
    expect(guest.view.getBigUint64(OPERAND + 160 + 16, true)).toBe(0x1122_3344_5566_7788n);
    // YMM1's upper half lies directly behind the header, where the compacted format has the first component.
    expect(guest.view.getBigUint64(OPERAND + 576 + 16, true)).toBe(0x1122_3344_5566_7788n);
  });

  test("XRSTOR brings back what XSAVEC packed", () => {
    const guest = saved(
      "mov eax, 7\nxor edx, edx\nxsavec [rdi]\nvpxor ymm1, ymm1\nxrstor [rdi]\nvextractf128 xmm2, ymm1, 1\nmovq rbx, xmm2\nmovq rcx, xmm1\nhlt",
    );
    expect(guest.get("rbx")).toBe(0x1122_3344_5566_7788n);
    expect(guest.get("rcx")).toBe(0x1122_3344_5566_7788n);
  });

  test("upper halves that are all 0 are not part of XSTATE_BV", () => {
    const guest = saved("vzeroupper\nmov eax, 6\nxor edx, edx\nxsavec [rdi]");
    expect(guest.view.getBigUint64(OPERAND + 512, true) & AVX_STATE).toBe(0n);
    expect(guest.view.getBigUint64(OPERAND + 520, true) & AVX_STATE).toBe(AVX_STATE);
  });

  test("an area that is not aligned to 64 bytes is #GP", () => {
    const guest = saved("add edi, 16\nmov eax, 6\nxor edx, edx\nxsavec [rdi]");
    expect(guest.delivered()).toMatchObject({ vector: GENERAL_PROTECTION });
    expect(freshGuest().get("rsp")).toBe(BigInt(STACK));
  });
});
