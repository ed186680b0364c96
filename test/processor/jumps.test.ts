import { describe, expect, test } from "vitest";
import { nasmAvailable } from "./assemble.ts";
import { type Guest, runAlike } from "./guest.ts";

const lookups = (guest: Guest): number => guest.parts.engine.statistics.lookups;

describe.skipIf(!nasmAvailable)("look-ups of code", () => {
  test("two functions of one jump-cache index do not need the decoder each time", () => {
    // (va ^ (va >> 14)) & 16383 is 0x41 for both.
    let before = 0;
    const guest = runAlike((g) => {
      before = lookups(g);
      g.code("inc eax\nret", 0x104000);
      g.code("inc edx\nret", 0x108003);
      g.program(`
        xor eax, eax
        xor edx, edx
        mov ecx, 1000
        mov ebx, 0x104000
        mov esi, 0x108003
      again:
        call rbx
        call rsi
        dec ecx
        jnz again
        hlt`);
    });
    expect([guest.get("rax"), guest.get("rdx")]).toEqual([1000n, 1000n]);
    expect(lookups(guest) - before).toBeLessThan(20);
  });

  test("an instruction on two pages needs the decoder once", () => {
    let before = 0;
    const guest = runAlike((g) => {
      before = lookups(g);
      g.code("nop\nadd eax, 0x11223344\nret", 0x101ffd);
      g.program("xor eax, eax\nmov ecx, 1000\nmov ebx, 0x101ffd\nagain: call rbx\ndec ecx\njnz again\nhlt");
    });
    expect(guest.get("rax")).toBe((1000n * 0x11223344n) & 0xffffffffn);
    expect(lookups(guest) - before).toBeLessThan(20);
  });

  test("code that another address space maps elsewhere is found there", () => {
    // Page 0x110 is changed by CR3 writes between two spaces that differ in that page only.
    const guest = runAlike((g) => {
      g.code("mov al, 1\nret", 0x110000);
      g.code("mov al, 2\nret", 0x120000);
      g.ram.copyWithin(0x20_0000, 0x1000, 0x8000);
      const other = 0x20_0000;
      g.view.setBigUint64(other, 0x20_1007n, true);
      g.view.setBigUint64(other + 0x1000, 0x20_2007n, true);
      g.view.setBigUint64(other + 0x2000, 0x20_3007n, true);
      g.view.setBigUint64(other + 0x3000 + 8 * 0x110, 0x12_0007n, true);
      g.program(`
        mov ecx, 4
        xor esi, esi
        mov ebx, 0x110000
      again:
        mov eax, 0x1000
        mov cr3, rax
        call rbx
        movzx eax, al
        shl esi, 4
        or esi, eax
        mov eax, 0x200000
        mov cr3, rax
        call rbx
        movzx eax, al
        shl esi, 4
        or esi, eax
        dec ecx
        jnz again
        hlt`);
    });
    expect(guest.get("rsi")).toBe(0x1212_1212n);
  });
});
