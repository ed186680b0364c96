import { describe, expect, test } from "vitest";
import { nasmAvailable } from "./assemble.ts";
import {
  ALL,
  freshGuest,
  GLOBAL,
  type Guest,
  HANDLERS,
  LARGE,
  NO_EXECUTE,
  PRESENT,
  PROGRAM,
  runAlike,
  USER,
  USER_CODE,
  WRITABLE,
} from "./guest.ts";

/** A second set of tables at 0x20000, whose linear page 0x200000 lies elsewhere. Returns its CR3. */
function secondSpace(g: Guest, physical: number, rights = ALL): void {
  g.ram.copyWithin(0x20000, 0x1000, 0x6000);
  for (const [at, value] of [
    [0x20000, 0x21007],
    [0x21000, 0x22007],
    [0x22000, 0x23007],
    [0x22008, 0x24007],
  ] as const)
    g.view.setBigUint64(at, BigInt(value), true);
  g.view.setBigUint64(0x24000, BigInt(physical) | rights, true);
}
/** Two functions at physical 0x101000 and 0x103000: they return 1 and 3. */
function twoFunctions(g: Guest): void {
  g.code("mov eax, 1\nret", 0x101000);
  g.code("mov eax, 3\nret", 0x103000);
  g.map(0x200000, 0x101000);
}
const PTE = "qword [0x5000]"; // of linear 0x200000

describe.skipIf(!nasmAvailable)("translations of code", () => {
  test("INVLPG makes a call go to the page mapped now", () => {
    const guest = runAlike((g) => {
      twoFunctions(g);
      g.program(
        `mov ebx, 0x200000\ncall rbx\nmov r8d, eax\nmov ${PTE}, 0x103007\ninvlpg [rbx]\ncall rbx\nhlt`,
      );
    });
    expect([guest.get("r8"), guest.get("rax")]).toEqual([1n, 3n]);
  });

  test("a CR3 write switches code, and a switch back finds the old code again", () => {
    const guest = runAlike((g) => {
      twoFunctions(g);
      secondSpace(g, 0x103000);
      g.program(
        "mov ebx, 0x200000\ncall rbx\nmov r8d, eax\nmov eax, 0x20000\nmov cr3, rax\ncall rbx\nmov r9d, eax\nmov eax, 0x1000\nmov cr3, rax\ncall rbx\nhlt",
      );
    });
    expect([guest.get("r8"), guest.get("r9"), guest.get("rax")]).toEqual([1n, 3n, 1n]);
  });

  test("a global page's code outlives a CR3 write, and INVLPG ends it", () => {
    const guest = runAlike((g) => {
      twoFunctions(g);
      g.map(0x200000, 0x101000, ALL | GLOBAL);
      g.set("cr4", g.get("cr4") | 0x80n);
      g.program(
        `mov ebx, 0x200000\ncall rbx\nmov ${PTE}, 0x103007\nmov rax, cr3\nmov cr3, rax\ncall rbx\nmov r8d, eax\ninvlpg [rbx]\ncall rbx\nhlt`,
      );
    });
    expect([guest.get("r8"), guest.get("rax")]).toEqual([1n, 3n]);
  });

  test("clearing CR4.PGE ends global pages too", () => {
    const guest = runAlike((g) => {
      twoFunctions(g);
      g.map(0x200000, 0x101000, ALL | GLOBAL);
      g.set("cr4", g.get("cr4") | 0x80n);
      g.program(
        `mov ebx, 0x200000\ncall rbx\nmov ${PTE}, 0x103007\nmov rax, cr4\nand al, 0x7f\nmov cr4, rax\ncall rbx\nhlt`,
      );
    });
    expect(guest.get("rax")).toBe(3n);
  });

  test("NX set and INVLPG: the next call faults with a fetch's error code", () => {
    const guest = runAlike((g) => {
      twoFunctions(g);
      g.program(`mov ebx, 0x200000\ncall rbx\nmov byte [0x5007], 0x80\ninvlpg [rbx]\ncall rbx\nhlt`);
    });
    expect(guest.delivered()).toMatchObject({ vector: 14, errorCode: 0x11n, rip: 0x200000n });
    expect(guest.get("cr2")).toBe(0x200000n);
  });

  test("code that unmaps its own page goes on in what is mapped there now", () => {
    const guest = runAlike((g) => {
      const source = (n: number) =>
        `mov rax, 0x103007\nmov [0x5000], rax\ninvlpg [0x200000]\nmov ecx, ${n}\nhlt`;
      g.code(source(1), 0x200000, 0x101000);
      g.code(source(3), 0x200000, 0x103000);
      g.map(0x200000, 0x101000);
      g.program("mov ebx, 0x200000\njmp rbx");
    });
    expect(guest.get("rcx")).toBe(3n);
  });

  test("splitting a 2 MiB page: INVLPG of any address in it drops all of it", () => {
    const guest = runAlike((g) => {
      // Linear 4 MiB .. 6 MiB is a large page at physical 1 MiB & ~2 MiB = 0; its page 0x101 is the first function.
      g.view.setBigUint64(0x3010, ALL | LARGE, true);
      twoFunctions(g);
      g.ram.copyWithin(0x25000, 0x4000, 0x5000);
      g.view.setBigUint64(0x25000 + 0x101 * 8, 0x103007n, true);
      g.program(
        "mov ebx, 0x501000\ncall rbx\nmov r8d, [0x501000]\nmov qword [0x3010], 0x25007\ninvlpg [0x400000]\ncall rbx\nmov r9d, [0x501000]\nhlt",
      );
    });
    expect(guest.get("rax")).toBe(3n);
    expect([guest.get("r8"), guest.get("r9")]).toEqual([0x1b8n, 0x3b8n]);
  });

  test("user code does not run from a supervisor page, though the supervisor has", () => {
    const guest = runAlike((g) => {
      twoFunctions(g);
      g.map(0x200000, 0x101000, PRESENT | WRITABLE);
      g.program("mov ebx, 0x200000\ncall rbx\npush 0x2b\npush 0x70000\npush 2\npush 0x33\npush rbx\niretq");
    });
    expect(guest.delivered()).toMatchObject({ vector: 14, errorCode: 0x15n, rip: 0x200000n, cs: 0x33n });
  });

  test("SMEP: the supervisor does not run user code, though the user has", () => {
    const guest = runAlike((g) => {
      twoFunctions(g);
      g.set("cr4", g.get("cr4") | (1n << 20n));
      // Everything else belongs to the supervisor.
      for (let page = 0; page < 0x180; page++) g.map(page * 4096, page * 4096, PRESENT | WRITABLE);
      g.program("mov ebx, 0x200000\ncall rbx\nhlt");
    });
    expect(guest.delivered()).toMatchObject({ vector: 14, errorCode: 0x11n, rip: 0x200000n });
  });
});

describe.skipIf(!nasmAvailable)("translations of data", () => {
  test("an upgrade to writable needs no INVLPG once the fault has come", () => {
    const guest = runAlike((g) => {
      g.map(0x200000, 0x101000, PRESENT);
      g.gate(14, 0x102000);
      g.code("or byte [0x5000], 2\nadd rsp, 8\ninc r15\niretq", 0x102000);
      g.program("mov eax, [0x200000]\nmov dword [0x200000], 5\nmov ecx, [0x200000]\nhlt");
    });
    expect([guest.get("rcx"), guest.get("r15") & 0xffn]).toEqual([5n, 1n]);
  });

  test("a downgrade to read-only holds after INVLPG, for plain stores and read-modify-write alike", () => {
    for (const store of [
      "mov [rbx], ecx",
      "add [rbx], ecx",
      "xchg [rbx], ecx",
      "lock inc dword [rbx]",
      "push qword 1",
      "movaps [rbx], xmm0",
      "cmpxchg [rbx], ecx",
    ]) {
      const guest = runAlike((g) => {
        g.map(0x200000, 0x101000);
        g.program(
          `mov ebx, 0x200000\nmov rsp, 0x200010\n${store}\nand byte [0x5000], 0xfd\ninvlpg [rbx]\nmov rdx, [rbx]\nmov rsp, 0x200010\nhere: ${store}\nhlt`,
        );
        g.gate(14, HANDLERS + 14 * 16, { ist: 1 });
      });
      expect(guest.delivered(), store).toMatchObject({ vector: 14, errorCode: 3n });
      expect(guest.get("rdx"), store).toBe(guest.view.getBigUint64(0x101000, true));
    }
  });

  test("CR0.WP decides whether the supervisor writes read-only pages; the user never does", () => {
    const run = (cr0: bigint, user: boolean) =>
      runAlike((g) => {
        g.map(0x200000, 0x101000, PRESENT | USER);
        g.set("cr0", cr0);
        g.program("mov ebx, 0x200000\nadd dword [rbx], 7\nmov ecx, [rbx]\nhlt");
        if (user) g.enter(USER_CODE);
      });
    expect(run(0x8000_0033n, false).get("rcx")).toBe(7n);
    expect(run(0x8001_0033n, false).delivered()).toMatchObject({ vector: 14, errorCode: 3n });
    expect(run(0x8000_0033n, true).delivered()).toMatchObject({ vector: 14, errorCode: 7n });
  });

  test.each([
    ["mov eax, [rbx]", 0n, 4n],
    ["mov [rbx], eax", 2n, 6n],
    ["add [rbx], eax", 2n, 6n],
    ["cmp [rbx], eax", 0n, 4n],
    ["movups xmm0, [rbx]", 0n, 4n],
    ["push qword [rbx]", 0n, 4n],
    ["pop qword [rbx]", 2n, 6n],
    ["fxsave [rbx]", 2n, 6n],
    ["call [rbx]", 0n, 4n],
    ["bts [rbx], eax", 2n, 6n],
    ["cmpxchg16b [rbx]", 2n, 6n],
    ["fstp tword [rbx]", 2n, 6n],
  ])("%s: #PF's error code tells write and user, CR2 the address", (source, supervisor, user) => {
    for (const [level, code] of [
      [false, supervisor],
      [true, user],
    ] as const) {
      const guest = runAlike((g) => {
        g.map(0x201000, 0, 0n);
        g.program(`mov ebx, 0x201000\n${source}\nhlt`);
        if (level) g.enter(USER_CODE);
        g.set("rax", 0n);
      });
      expect(guest.delivered()).toMatchObject({ vector: 14, errorCode: code, rip: BigInt(PROGRAM + 5) });
      expect(guest.get("cr2")).toBe(0x201000n);
    }
  });

  test("a reserved bit is told in the error code", () => {
    const guest = runAlike((g) => {
      g.map(0x200000, 0x101000, ALL | (1n << 51n));
      g.program("mov eax, [0x200000]");
    });
    expect(guest.delivered()).toMatchObject({ vector: 14, errorCode: 9n });
  });

  test.each([
    "mov [rbx], rax",
    "add [rbx], rax",
    "movups [rbx], xmm1",
    "xchg [rbx], rax",
    "push rax",
    "cmpxchg [rbx], rcx",
    "fstp tword [rbx]",
    "movdqu [rbx], xmm1",
    "fnstenv [rbx]",
    "fxsave [rbx - 13]",
    "call $ + 5",
    "enter 0, 0",
    "movnti [rbx], rax",
    "sgdt [rbx]",
    "stosq",
    "movsq",
    "rep stosq",
  ])("%s across a page boundary, the second page absent, leaves no trace", (source) => {
    const guest = runAlike((g) => {
      g.gate(14, HANDLERS + 14 * 16, { ist: 1 });
      g.map(0x202000, 0, 0n);
      g.ram.fill(0x33, 0x201000, 0x202000);
      g.program(
        `fninit\nfld1\nmov rax, -1\npcmpeqd xmm1, xmm1\nmov esi, 0x120000\nmov ecx, 5\nmov ebx, 0x201ffd\nmov edi, ebx\nmov rsp, 0x202005\nmov rbp, rsp\nhere: ${source}\nhlt`,
      );
    });
    expect(guest.delivered()).toMatchObject({ vector: 14, errorCode: 2n, rsp: 0x202005n });
    expect(guest.get("cr2")).toBe(0x202000n);
    expect(guest.ram.subarray(0x201ff0, 0x202000).every((byte) => byte === 0x33)).toBe(true);
    expect([guest.get("rcx"), guest.get("rdi"), guest.get("rsi")]).toEqual([5n, 0x201ffdn, 0x120000n]);
  });

  test("REP MOVSB stopped by a fault goes on exactly there", () => {
    const guest = runAlike((g) => {
      g.map(0x201000, 0x201000, 0n);
      for (let i = 0; i < 8192; i++) g.ram[0x120000 + i] = i * 7;
      g.gate(14, 0x102000);
      g.code(
        "mov r8, rcx\nmov r9, rdi\nmov r10, rsi\nmov r11, [rsp + 8]\nor byte [0x5008], 7\nadd rsp, 8\niretq",
        0x102000,
      );
      g.program("mov esi, 0x120000\nmov edi, 0x200f00\nmov ecx, 0x300\nhere: rep movsb\nhlt");
    });
    expect([guest.get("r8"), guest.get("r9"), guest.get("r10"), guest.get("r11")]).toEqual([
      0x200n,
      0x201000n,
      0x120100n,
      BigInt(PROGRAM + 15),
    ]);
    expect([guest.get("rcx"), guest.get("rdi")]).toEqual([0n, 0x201200n]);
    expect(guest.ram.subarray(0x200f00, 0x201200)).toEqual(guest.ram.subarray(0x120000, 0x120300));
  });

  test("backward REP STOSQ and REPE CMPSB stop exactly at a fault too", () => {
    const stos = runAlike((g) => {
      g.map(0x200000, 0, 0n);
      g.program("std\nmov edi, 0x201038\nmov ecx, 20\nmov eax, 9\nrep stosq");
    });
    expect(stos.delivered().vector).toBe(14);
    expect([stos.get("rcx"), stos.get("rdi"), stos.get("cr2")]).toEqual([12n, 0x200ff8n, 0x200ff8n]);
    const cmps = runAlike((g) => {
      g.map(0x202000, 0, 0n);
      g.program("mov esi, 0x201ff0\nmov edi, 0x120000\nmov ecx, 100\nrepe cmpsb");
    });
    expect([cmps.delivered().vector, cmps.get("rcx"), cmps.get("rsi"), cmps.get("rdi")]).toEqual([
      14,
      84n,
      0x202000n,
      0x120010n,
    ]);
  });

  test("accessed and dirty flags are set by what is done, and not by what faults", () => {
    const guest = runAlike((g) => {
      for (const page of [0x200, 0x201, 0x202]) g.map(page * 4096, page * 4096);
      g.map(0x203000, 0x203000, PRESENT);
      g.program("mov eax, [0x200000]\nmov [0x201000], eax\nadd dword [0x202000], 1\nmov [0x203000], eax");
    });
    const flags = [0, 1, 2, 3].map((n) => Number(guest.view.getBigUint64(0x5000 + 8 * n, true) & 0x60n));
    expect(flags).toEqual([0x20, 0x60, 0x60, 0]);
  });

  test("a TLB entry filled by a read does not let a write through that never set the dirty flag", () => {
    const guest = runAlike((g) => g.program("mov eax, [0x200000]\nmov [0x200000], eax\nhlt"));
    expect(guest.view.getBigUint64(0x5000, true) & 0x60n).toBe(0x60n);
  });

  test("SMAP keeps the supervisor off user pages but under AC", () => {
    const setUp = (g: Guest) => {
      g.set("cr4", g.get("cr4") | (1n << 21n));
      for (let page = 0; page < 0x180; page++) g.map(page * 4096, page * 4096, PRESENT | WRITABLE);
    };
    const guest = runAlike((g) => {
      setUp(g);
      g.program(
        "stac\nmov eax, [0x200000]\nmov [0x200000], eax\nclac\nmov ecx, 1\nmov eax, [0x200000]\nmov ecx, 2",
      );
    });
    expect(guest.delivered()).toMatchObject({ vector: 14, errorCode: 1n });
    expect(guest.get("rcx")).toBe(1n);
  });

  test("NX pages are read and written", () => {
    const guest = runAlike((g) => {
      g.map(0x200000, 0x200000, ALL | NO_EXECUTE);
      g.program("mov dword [0x200000], 5\nmov eax, [0x200000]\nhlt");
    });
    expect(guest.get("rax")).toBe(5n);
  });

  test("a page-table change through another mapping of the table counts after INVLPG", () => {
    const guest = runAlike((g) => {
      g.map(0x210000, 0x5000);
      g.ram[0x101000] = 11;
      g.ram[0x103000] = 33;
      g.map(0x200000, 0x101000);
      g.program(
        "mov al, [0x200000]\nmov dword [0x210000], 0x103007\ninvlpg [0x200000]\nmov ah, [0x200000]\nhlt",
      );
    });
    expect(guest.get("rax") & 0xffffn).toBe(0x210bn);
  });
});

test("the fixture starts in 64-bit mode", () => {
  expect(freshGuest().get("efer") & 0x400n).toBe(0x400n);
});
