import { expect, test } from "vitest";
import type { CoreExports } from "../../src/cpu/core-exports.ts";
import { GUEST_RAM, SCRATCH } from "../../src/layout/memory-map.ts";
import { HostileRig, RAM_BYTES, randomWords } from "./random-guests.ts";

interface SlowPaths extends CoreExports {
  writeSlow(linear: bigint, bytes: number, value: bigint): number;
  writeSlow128(linear: bigint, low: bigint, high: bigint): number;
  modifySlow(linear: bigint, bytes: number): number;
  commitWrite(): number;
  prepareWrite(linear: bigint, bytes: number): number;
}

const ACCESSES = 300_000;

/** A page-table entry with a good chance of leading somewhere strange. */
function hostileEntry(next: () => number): bigint {
  const frames = [
    BigInt(next() & 0x1fff) << 12n, // in RAM
    BigInt(RAM_BYTES) - 0x1000n,
    BigInt(RAM_BYTES),
    BigInt(RAM_BYTES) - 0x200000n, // at its end
    0xfee00000n,
    0xfffff000n,
    0x100000000n,
    0xfffffff000n,
    0x3fe00000n, // devices, 4 GiB, the end of physical addresses
    0x1000n * BigInt(1 + (next() & 7)), // the tables themselves
    BigInt(next()) << 12n,
  ];
  let flags = 0x27n;
  if (next() % 6 === 0) flags |= 0x80n;
  if (next() % 8 === 0) flags &= ~2n;
  if (next() % 8 === 0) flags &= ~4n;
  if (next() % 12 === 0) flags &= ~1n;
  if (next() % 10 === 0) flags |= 0x100n;
  if (next() % 20 === 0) flags |= 1n << 63n;
  if (next() % 30 === 0) flags |= 1n << BigInt(40 + (next() % 12));
  let frame = frames[next() % frames.length]!;
  if ((flags & 0x80n) !== 0n && next() % 2 === 0) frame &= next() % 3 === 0 ? ~0x3fffffffn : ~0x1fffffn;
  return frame | flags;
}

function hostileAddress(next: () => number, wide: boolean): bigint {
  const page = BigInt(next() % 24) * 0x1000n;
  const bases = wide
    ? [
        0n,
        0x200000n,
        0x40000000n,
        0x7ffffffff000n - 0x3000n,
        0xffff800000000000n,
        0xfffffffffffff000n - 0x2000n,
        0x7ffffffff000n,
        0x800000000000n,
        BigInt(next()) << 16n,
      ]
    : [0n, 0x400000n, 0xfffff000n - 0x2000n, 0xfffff000n, BigInt(next())];
  const offset = BigInt(next() % 3 === 0 ? 0xff0 + (next() & 15) : next() & 0xfff);
  const address = bases[next() % bases.length]! + page + offset;
  return BigInt.asIntN(64, wide ? address : BigInt.asUintN(32, address));
}

test.each([
  ["4-level paging", 0x80010033n, 0xd01n, 0x6b0n, true],
  ["PAE paging", 0x80010033n, 0x800n, 0x6b0n, false],
  ["32-bit paging", 0x80010033n, 0n, 0x690n, false],
  ["no paging", 0x33n, 0n, 0x600n, false],
] as const)(
  "%s with hostile tables hands out host addresses in RAM or SCRATCH only",
  (_name, cr0, efer, cr4, long) => {
    const rig = new HostileRig();
    const core = rig.parts.core as SlowPaths;
    const view = new DataView(rig.ram.buffer, GUEST_RAM, RAM_BYTES);
    const next = randomWords(long ? 77 : 78);
    const allowed = (host: number, bytes: number): boolean =>
      host === SCRATCH || (host >= GUEST_RAM && host + bytes <= GUEST_RAM + RAM_BYTES);
    let inRam = 0;
    let scratch = 0;
    let faults = 0;
    rig.start(long ? "long" : "protected", Uint8Array.of(0xf4));
    const { registers } = rig.parts.processor;
    for (let i = 0; i < ACCESSES; i++) {
      if (i % 500 === 0) {
        for (let at = 0x1000; at < 0x9000; at += 8) view.setBigUint64(at, hostileEntry(next), true);
        // Most walks get past the upper levels.
        for (let index = 0; index < 512; index += 1 + (next() & 15)) {
          view.setBigUint64(0x1000 + 8 * index, BigInt(0x2000 + 0x1000 * (next() % 6)) | 0x27n, true);
          if (long)
            view.setBigUint64(0x2000 + 8 * index, BigInt(0x3000 + 0x1000 * (next() % 5)) | 0x27n, true);
        }
        if (!long && efer !== 0n)
          for (let at = 0x1000; at < 0x1020; at += 8)
            view.setBigUint64(at, BigInt(0x2000 + 0x1000 * (next() % 6)) | 1n, true);
        registers.set("cr4", cr4);
        registers.set("efer", efer);
        registers.set("cr3", next() % 8 === 0 ? BigInt(RAM_BYTES) - 8n * BigInt(next() % 1024) : 0x1000n);
        registers.set("cr0", cr0);
        registers.set("cpl", next() % 3 === 0 ? 3n : 0n);
      }
      const va = hostileAddress(next, long);
      const kind = next() % 6;
      const bytes = kind === 5 ? 10 : [1, 2, 4, 8, 16][next() % 5]!;
      rig.parts.state.set32(0x100, -1);
      let host: number;
      switch (kind) {
        case 0:
          host = core.readSlow(va, bytes);
          break;
        case 1:
          host = core.modifySlow(va, bytes);
          if (host === SCRATCH) core.commitWrite();
          break;
        case 2:
          host = bytes === 16 ? core.writeSlow128(va, -1n, -1n) : core.writeSlow(va, bytes, -1n);
          host = host === 0 ? 0 : GUEST_RAM;
          break;
        case 3:
          host = core.prepareWrite(va, 512) === 0 ? 0 : GUEST_RAM;
          break;
        case 4:
          host = core.translateExecute(va) < 0n ? 0 : GUEST_RAM;
          break;
        default:
          host = core.readSlow(va, bytes);
      }
      if (host === 0) {
        faults++;
        if (rig.parts.state.get32(0x100) < 0) throw new Error(`access ${i} failed without a fault`);
      } else if (!allowed(host, bytes))
        throw new Error(`access ${i} to ${va.toString(16)} got host address ${host.toString(16)}`);
      else if (host === SCRATCH) scratch++;
      else inRam++;
      if (i % 20_000 === 0) expect(rig.guardIntact()).toBe(true);
    }
    expect(rig.guardIntact()).toBe(true);
    expect(rig.ramSizeIntact()).toBe(true);
    // All three ends were met, or the test would show nothing.
    expect(inRam).toBeGreaterThan(ACCESSES / 100);
    expect(scratch).toBeGreaterThan(ACCESSES / 1000);
    if (_name !== "no paging") expect(faults).toBeGreaterThan(ACCESSES / 50);
  },
);
